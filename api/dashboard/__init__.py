"""The dashboard: what operators see and do, rendered here, working without scripts and livelier with them.

`security` (headers of every answer), `session` (who is logged in, and is a form one of ours?), `login`, `pages`
(templates), `faults`, then a module for each page. It calls the use cases that the API calls.
"""
