"""Everything that is true about a scan.

    intake ──▶ quarantine ──▶ pipeline: claim ▸ inspect ▸ decide ▸ settle ──▶ clean bucket, or deleted, or held

Read `scan` first (states and who moves them), then `intake` and `pipeline` (the whole path, top to bottom), then
`inspect`, `policy` and `settle` (the steps with substance). `sweep` recovers what was lost on the way. Use cases
like these know the domain (`scan`, `policy`, `errors`), the `store` (all queries) and the `adapters` (S3, clamd,
Celery); domain, store and adapters know no use case. `tasks` is where the worker's process puts the parts together.
"""
