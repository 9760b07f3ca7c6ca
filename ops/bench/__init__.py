"""Benchmarks: what Lazaretto costs, beside the least that the same work could cost, measured in the same run.

One module per matter, each with `rows() -> Iterator[Row]`, listed in `__main__`. `memory` runs by itself.
"""
