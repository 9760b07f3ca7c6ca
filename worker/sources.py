"""Where a file came from that did not pass through us: an object that others can write at any time."""

from __future__ import annotations

from worker.adapters.object_store import ObjectStore
from worker.keys import is_promised
from worker.scan import Scan


def remove(objects: ObjectStore, bucket: str, scan: Scan) -> None:
    """Delete what the service put there for this scan; nothing where its bytes came through intake.

    A promised place is this scan's for ever, whatever lies there by now. Under a name of its own the service may have
    written the next file meanwhile, which is another scan's: it stays. What a backfill found in a bucket of somebody
    else's is never touched. Raises `StoreUnavailable`.
    """
    if scan.source_key is None or scan.source_bucket:
        return
    if is_promised(scan):
        objects.delete(bucket, scan.source_key)
    elif scan.source_etag is not None:
        objects.delete_exactly(bucket, scan.source_key, scan.source_etag)
