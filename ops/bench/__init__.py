"""Benchmarks: what Lazaretto costs, beside the least that the same work could cost, measured in the same run.

`make bench`         `__main__`: `pipeline`, `latency`, `peaks` (memory), `intake`, `waiting`, `images`, `sandbox_cost`;
                     each yields rows (`row`), which `report` shows. RESULTS.md: how to read them, and what came of it
`make bench-growth`  `growth`, with `filled` (databases of `invented` scans, by `load`) and `line` (thousands in line)
`make soak`          `soak`, with `arrivals` (files without end), `traffic` (clients by the clock) and `samples`
What is measured     `installation` (the whole stack; `processes`: what each kind of them costs), `reception` (an API
                     without workers), by `clients`, with files of a `corpus` that a `factory` makes
Floors               `crew` (processes, which do the calls of `floor`), `bare_boto`, `bare_vips`, `put_only` and
                     `in_process`
By themselves        `memory` (`make bench-memory`), `many` (with `questions` and `pages`), `bulk_retry`,
                     `transactions`, `calls`: `python -m ops.bench.NAME`
"""
