"""Every effect that the system has on the outside, named, so that a test can let something happen between any two.

Nothing in the product knows of this: the hooks sit in boto3's own events and around the adapters' calls, so an effect
that is added later is found by itself.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection

from worker.adapters.clamd import Endpoint
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.sandbox import Sandbox
from worker.store.database import Database


class Point(NamedTuple):
    """A moment just before or after an effect; `time` counts those of the same name, from 1."""

    name: str
    time: int

    def __str__(self) -> str:
        return f"{self.name} ({self.time})"


Happen = Callable[[Point], None]


@contextmanager
def watched(objects: ObjectStore, happen: Happen) -> Iterator[None]:
    """Call `happen` at every point that is passed inside the block, in whatever thread."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def passing(name: str) -> None:
        with lock:
            seen[name] += 1
            point = Point(name, seen[name])
        happen(point)

    with pytest.MonkeyPatch.context() as patch, _store_watched(objects, passing):
        _watch_commits(patch, passing)
        for kind, name in ((Endpoint, "scan"), (Sandbox, "sniff"), (Sandbox, "reencode"), (TaskQueue, "enqueue")):
            _watch_calls(patch, kind, name, passing)
        yield


def recorded(objects: ObjectStore, work: Callable[[], object]) -> list[Point]:
    """The points that `work` passes, in order."""
    points: list[Point] = []
    with watched(objects, points.append):
        work()
    return points


@contextmanager
def at(objects: ObjectStore, wanted: Point, action: Callable[[], object]) -> Iterator[list[Point]]:
    """Take `action` once, when `wanted` is passed; yields a list that holds the point from then on."""
    reached: list[Point] = []

    def happen(point: Point) -> None:
        if point == wanted and not reached:
            reached.append(point)
            action()

    with watched(objects, happen):
        yield reached


@contextmanager
def _store_watched(objects: ObjectStore, passing: Callable[[str], None]) -> Iterator[None]:
    """Each call to S3, whichever method of the adapter makes it."""

    def before(model: Any, **_: Any) -> None:
        passing(f"before S3 {model.name}")

    def after(model: Any, **_: Any) -> None:
        passing(f"after S3 {model.name}")

    emitters = [client.meta.events for client in (objects._s3, objects._s3_once)]
    for events in emitters:
        events.register("before-call.s3", before)
        events.register("after-call.s3", after)
    try:
        yield
    finally:
        for events in emitters:
            events.unregister("before-call.s3", before)
            events.unregister("after-call.s3", after)


def _watch_commits(patch: pytest.MonkeyPatch, passing: Callable[[str], None]) -> None:
    original = Database.write

    @contextmanager
    def write(self: Database) -> Iterator[Connection]:
        with original(self) as connection:
            yield connection
            passing("before commit")
        passing("after commit")

    patch.setattr(Database, "write", write)


def _watch_calls(patch: pytest.MonkeyPatch, kind: type, name: str, passing: Callable[[str], None]) -> None:
    original = getattr(kind, name)

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        passing(f"before {kind.__name__}.{name}")
        result = original(self, *arguments, **options)
        passing(f"after {kind.__name__}.{name}")
        return result

    patch.setattr(kind, name, call)
