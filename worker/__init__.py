"""Everything that is true about a scan.

    intake ──▶ quarantine ──▶ pipeline: claim ▸ inspect ▸ decide ▸ settle ──▶ clean bucket, or deleted, or held

The domain      `scan` (states, and who moves them), `media_types`, `policy` (findings → verdict), `retries`, `errors`
Use cases       `intake` (with `quarantine`: the stream into the bucket), `pipeline` (the whole path, top to bottom),
                `sweep` (recovery), `services` (who may ask for what)
Steps           `inspect` (with `scanners`, `canaries`, `scratch` and the package `sandbox`), `settle`
                (with `lease`), `setback` (what follows a fault)
The outside     `adapters` (S3, clamd, Celery), `store` (database), `migrations`, `settings`, `telemetry`, `clock`
Entry point     `tasks`: the worker's process, where the parts are put together

Read `scan`, `intake` and `pipeline` first. Imports point downwards; `pyproject.toml` holds the contracts.

What is left behind                       is found by
a row without its bytes (`receiving`)     intake when the upload breaks off, else the sweeper after `receive_timeout`
bytes without a scan (`quarantine_key`)   intake, else the sweeper one lease later
a scan that no task stands for            the sweeper, from `enqueued_at` and the head of the queue
a scan whose worker died (`lease_until`)  the sweeper: `scanning` starts over, `settling` is handed over again
scratch files, sandbox children           the kernel, with the process that held them
"""
