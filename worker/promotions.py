"""What lies in the clean bucket for one scan: under its prefix, each object made for one decision."""

from __future__ import annotations

from collections.abc import Callable

from worker.adapters.object_store import ObjectStore
from worker.keys import clean_prefix, decision_of
from worker.scan import Scan


def remove(
    objects: ObjectStore, bucket: str, scan: Scan, *, keep: str | None, before: Callable[[], None] | None = None
) -> None:
    """Delete all but the key to `keep`, unfinished uploads too. `before` is called before each call to the store.

    A key of a later decision than the one that was read is none of ours: somebody has moved the scan on. Raises what
    `before` and the store raise.
    """
    ready, prefix = before or _at_once, clean_prefix(scan)
    ready()
    objects.abort_all(bucket, prefix)
    for key in objects.keys(bucket, prefix):
        decision = decision_of(key)
        if key != keep and decision is not None and decision <= scan.decision:
            ready()
            objects.delete(bucket, key)


def _at_once() -> None:
    return
