"""HTTP in, use cases called, HTTP out. No content of any file is parsed in this process.

Routes          `uploads` (with `forms`: multipart as a stream), `direct_uploads`, `scans` (with `views`), `health`
Each request    `auth` (who is asking), `limits` (how much), `once` (`Idempotency-Key`), `requests` (`X-Request-ID`),
                `bodies` (small ones), `methods` (HEAD and OPTIONS), `problems` (every error)
The process     `app` (where it is put together), `parts` (what it holds), `waiting` (`?wait=`; with `endings`: who
                hears of them), `measured` (with `timing`: `Server-Timing`), `kept` (readiness, for a moment),
                `stopping`, `protocol` (bounds on what uvicorn reads)
The document    `openapi`, `examples`, `webhooks` (which the notifier sends), `docs` (it, for people)
For operators   `dashboard`, a package of pages; its `security` has the headers of every answer

Read `app` and `uploads` first.
"""
