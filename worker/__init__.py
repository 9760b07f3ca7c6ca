"""Everything that is true about a scan.

    intake ──▶ quarantine ──▶ pipeline: claim ▸ inspect ▸ decide ▸ settle ──▶ clean bucket, or deleted, or held

The domain      `scan` (states, and who moves them; `pixels`: how large images are), `media_types`,
                `lanes` (the queue that a scan waits in), `policy` (the rules; with `policy_file`: where they stand,
                `toml_lines`: in which line, and `policies`: as they stand now), `decide` (findings → verdict),
                `retries`, `keys`, `errors`, `views` (a scan as everybody outside sees it)
Use cases       `intake` (with `body`: the stream from the client, `quarantine`: the stream into the bucket, and
                `idempotency`: sent twice, taken in once), `direct_uploads` (files that reach the bucket without us;
                `sources` tells where), `backfill` (files that were there before us), `pipeline` (the whole path, top
                to bottom), `sweep` (recovery; with `sweep_buckets`, `sweep_rescans`, `sweep_webhooks` and
                `sweep_history`), `reconcile` (buckets against database), `operations` (what owners and operators ask
                for), `rescans` (promoted files are to be looked at again), `rescan` (which is done, and ends as
                `rescan_ends` says), `sessions` (operators at the dashboard), `services`, `api_keys` and `quotas` (who
                may ask, for what, and how often), `deliver` (webhooks, one after the other), `webhooks` (what
                operators ask for about them), `rollup` (what ended is counted) and `stats` (and told; with
                `statistics`: the shapes, and `tally`: the counting)
Steps           `handover` (to the queue), `seal` (a direct upload, out of its service's hands), `inspect` (with
                `scanners`, `canaries`, `scratch` and the package `sandbox`), `settle`, `tidy` (both with `promotions`:
                what lies in the clean bucket for one scan)
Who has a scan  `custody` (taken and given back; with `gate`: may one be begun now? and `setback`: what follows a
                fault), `lease` (held, renewed, over)
Webhooks        `store.outbox` (each end of a decision puts one on record), `hints` (there is something to deliver),
                `signing`, `sweep_webhooks` (what a hint was lost for), `adapters.receiver` (whom we do not trust)
The outside     `adapters` (S3, clamd, Celery with its `broker`, receivers), `store` (database), `migrations`,
                `settings` (with `production`: what is too weak for it), `telemetry`, `clock`
Prometheus      `metrics` (what happens is counted by whoever knows of it: in the end `instruments`, which declares
                each), `steps` (how long those of one attempt took: for the scan's record), `spent` (what a request
                took), `metric_files` (where the processes of a machine add up), `standing` (how the installation
                stands, when asked), `exposition` (the page)
Entry points    `tasks`: the worker's process, where the parts are put together (those that look into files by
                `assembly`, which `lazaretto policy explain` shares); `stopping`: how it ends; `notifier`: the process
                that delivers webhooks

A worker claims a scan (`custody`, `store.claims`); a request reserves its Idempotency-Key (`idempotency`).

Read `scan`, `intake` and `pipeline` first. Imports point downwards; `pyproject.toml` holds the contracts.

What is left behind                       is found by
a row without its bytes (`receiving`)     intake when the upload breaks off, else the sweeper (`lease_until`)
a scan that no task stands for            the sweeper: `enqueued_at` is empty, or older than what is next in Redis' line
a rescan of which the same is true        `sweep_rescans`, which begins it anew, or gives it up
a scan whose worker died (`lease_until`)  the sweeper: `scanning` starts over, `settling` is handed over again
bytes where none should be (`tidy_at`)    the sweeper: whoever ends or takes a scan that another may still be writing
                                          for has both buckets looked at one lease later
an idempotency key in flight              the next request with it (`lease_until`), else the sweeper, a day later
a webhook that is due (`due_at`)          the sweeper, also where its notifier died (`lease_until`)
scratch files, sandbox children           the kernel, with the process that held them
all the rest                              `reconcile`, which reports it
"""
