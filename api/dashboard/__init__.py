"""The dashboard: what operators see and do, rendered here, working without scripts and livelier with them.

`security` (headers of every answer), `session` (who is logged in, and is a form one of ours?), `login`, `pages`
(templates), `faults`, then a module for each page; `site` puts them together. It calls the use cases that the API
calls.

Scans: `scan_list` (with `narrowing`: what the address says, and `search`: what the field does), `scan_page` (with
`words`, `whereabouts` and `timeline`: what is told of it; `lookup`: which it is), `picture`, `actions`, and `bulk`.
"""
