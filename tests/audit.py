"""The judge: everything that is wrong with a system that has come to rest, in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import pairwise

from worker.adapters.object_store import ObjectStore
from worker.scan import HELD, PROMOTED, TRANSITIONS, Event, Scan, Status
from worker.settings import Settings
from worker.store import events, scans
from worker.store.database import Database

_ARROWS = {(each.source, each.target) for each in TRANSITIONS}
_MOST = 1_000_000


def audit(
    database: Database, objects: ObjectStore, settings: Settings, expected: Mapping[str, frozenset[Status]]
) -> list[str]:
    """Each violation as a line. `expected`: what may have become of each upload that was answered with 202."""
    with database.read() as connection:
        found = {scan.id: scan for scan in scans.page(connection, scans.Filter(), limit=_MOST)}
        stories = {scan_id: events.of(connection, scan_id) for scan_id in found}
    wrong = [f"lost: {scan_id} was answered with 202 and has no row" for scan_id in expected if scan_id not in found]
    for scan in found.values():
        wrong += _wrong_with_record(scan, expected.get(scan.id))
        wrong += _wrong_with_story(scan, stories[scan.id])
    wrong += _wrong_with_quarantine(objects, settings.quarantine_bucket, found)
    wrong += _wrong_with_clean(objects, settings.clean_bucket, found)
    for bucket in (settings.quarantine_bucket, settings.clean_bucket):
        wrong += [f"left behind: an unfinished upload of {key} in {bucket}" for key in _unfinished(objects, bucket)]
    return wrong


def _wrong_with_record(scan: Scan, expected: frozenset[Status] | None) -> Iterator[str]:
    if not scan.status.ended:
        yield f"lost: {scan.id} is {scan.status}"
    elif expected is not None and scan.status not in expected:
        yield f"wrong outcome: {scan.id} ({scan.filename}) is {scan.status} {scan.error or scan.reasons}"
    if (scan.status in PROMOTED) != (scan.promoted is not None):
        yield f"wrong record: {scan.id} is {scan.status} and promoted is {scan.promoted}"


def _wrong_with_story(scan: Scan, story: list[Event]) -> Iterator[str]:
    for decision in range(1, scan.decision + 1):
        moves = [event for event in story if event.source != event.target]
        ends = [event.target.value for event in moves if event.decision == decision and event.target.ended]
        if len(ends) != 1:
            yield f"decided {len(ends)} times: decision {decision} of {scan.id}: {ends}"
    for before, after in pairwise(story):
        is_note = after.source == after.target
        if after.source != before.target or not (is_note or (after.source, after.target) in _ARROWS):
            yield f"no such way: {scan.id} went from {before.target} by {after.source} to {after.target}"
    if not story or story[-1].target is not scan.status:
        yield f"no such way: the story of {scan.id} does not end in {scan.status}"


def _wrong_with_quarantine(objects: ObjectStore, bucket: str, found: Mapping[str, Scan]) -> Iterator[str]:
    held = {scan.quarantine_key for scan in found.values() if scan.status in HELD}
    present = set(objects.keys(bucket))
    yield from (f"left behind: {key} in quarantine" for key in sorted(present - held))
    yield from (f"lost: {key} is held and not there" for key in sorted(key for key in held - present if key))


def _wrong_with_clean(objects: ObjectStore, bucket: str, found: Mapping[str, Scan]) -> Iterator[str]:
    promoted = {scan.promoted.key: scan for scan in found.values() if scan.promoted}
    for key in objects.keys(bucket):
        scan = promoted.pop(key, None)
        if scan is None:
            yield f"wrongly promoted: {key}, which no record names"
        elif scan.promoted and _sha256(objects, bucket, key) != scan.promoted.sha256:
            yield f"wrongly promoted: {key} holds other bytes than those proven clean"
    yield from (f"lost: {key} is promoted and not there" for key in promoted)


def _sha256(objects: ObjectStore, bucket: str, key: str) -> str:
    info = objects.head(bucket, key)
    hashed = hashlib.sha256()
    for chunk in objects.fetch(bucket, key, info.etag if info else ""):
        hashed.update(chunk)
    return hashed.hexdigest()


def _unfinished(objects: ObjectStore, bucket: str) -> Iterator[str]:
    for page in objects._s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        yield from (upload["Key"] for upload in page.get("Uploads", []))
