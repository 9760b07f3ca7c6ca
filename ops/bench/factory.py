"""Makes the files of a round beforehand, on all cores, so that nobody makes any while it is measured."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from ops.bench import corpus
from ops.bench.corpus import File


class Factory:
    """Each batch has a seed that was never used before."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._seeds = (f"{time.time_ns()}/{number}" for number in itertools.count())

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Factory]:
        """With processes of its own, because they run libvips."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(mp_context=context, initializer=leave_interrupts_to_the_parent) as pool:
            yield cls(pool)

    def make(self, name: str, count: int) -> list[File]:
        """So many files of a kind, or of the mix."""
        seed = next(self._seeds)
        kinds = corpus.plan(name, count, seed)
        return list(self._pool.map(corpus.make, kinds, [seed] * len(kinds), range(len(kinds)), chunksize=4))


def leave_interrupts_to_the_parent() -> None:
    """A Ctrl-C reaches every process of the terminal; one of them puts things in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
