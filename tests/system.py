"""A whole system in one process, on real services: what intake, worker and sweeper do, one step at a time."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Collection
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import redis
from sqlalchemy import select

from tests.calendar import Calendar
from tests.kept import KeptSandbox
from worker import api_keys
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Place
from worker.adapters.task_queue import RESCAN_TASK, SCAN_TASK, TaskQueue
from worker.backfill import Backfill
from worker.direct_uploads import Announced, DirectUploads
from worker.instruments import Way
from worker.intake import Incoming, Intake
from worker.keys import INCOMING
from worker.lanes import Lane
from worker.operations import Operations
from worker.policies import Policies
from worker.quotas import Quotas
from worker.scan import Event, Scan
from worker.services import Scope, ensure_bootstrap_key
from worker.settings import Settings
from worker.store import events, scans
from worker.store.database import Database
from worker.store.tables import rescans
from worker.sweep import Sweeper, Swept
from worker.tasks import Parts

KEY = "test-key"
_ROUNDS = 8
SERVICE = "default"
LEGACY = "test-legacy"  # a bucket that is not ours


def incoming(
    filename: str = "file.txt", declared: str | None = None, size: int | None = None, service: str = SERVICE
) -> Incoming:
    """An upload, of the default service unless another is named."""
    return Incoming(service, f"service:{service}", filename, declared, size, "request-1", Way.RAW)


async def chunks(data: bytes, size: int = 65536) -> AsyncIterator[bytes]:
    """A body as it comes from the network."""
    for at in range(0, len(data), size):
        yield data[at : at + size]


@dataclass
class System:
    """Everything under `settings`, whose database and buckets belong to one test."""

    settings: Settings
    database: Database
    objects: ObjectStore
    sandbox: KeptSandbox
    queue: TaskQueue
    parts: Parts

    @classmethod
    def start(cls, settings: Settings, objects: ObjectStore, sandbox: KeptSandbox) -> System:
        """On a database that has its tables. `sandbox` is one for the usual settings, and stays open."""
        database = Database(settings.database_url.get_secret_value())
        ensure_bootstrap_key(database, KEY)
        return cls(settings, database, objects, sandbox, TaskQueue(settings), Parts(settings, objects, sandbox))

    def with_settings(self, **changes: Any) -> System:
        """The same system as a process with other settings sees it, but for those of the sandbox; close it like any
        other."""
        settings = self.settings.model_copy(update=changes)
        parts = Parts(settings, self.objects, self.sandbox)
        return replace(self, settings=settings, queue=TaskQueue(settings), parts=parts)

    def in_a_fork(self, *, alone: bool = False) -> System:
        """The same system, for a process that was forked from its owner's: no connection is shared. `alone`: its owner
        does nothing until it has ended."""
        for client in (self.objects._s3, self.objects._s3_once):
            client._endpoint.http_session.close()  # type: ignore[attr-defined]
        database = Database(self.settings.database_url.get_secret_value())
        if alone:
            self.sandbox.adopt()
        parts = Parts(self.settings, self.objects, self.sandbox)
        parts.scanners._trust = self.parts.scanners._trust  # no canary is flown again
        return System(self.settings, database, self.objects, self.sandbox, TaskQueue(self.settings), parts)

    def key_of(self, service: str, scopes: Collection[Scope] = (Scope.SUBMIT, Scope.READ)) -> str:
        """A new key of a service, which is put on record where it is not yet."""
        api_keys.add_service(self.database, service)
        return api_keys.create(self.database, service, scopes, None).key

    def with_policy(self, text: str) -> Settings:
        """The settings of processes whose policy ends in `text`."""
        path = self.settings.home / "policy.toml"
        path.write_text(self.settings.policy_file.read_text() + text)
        return self.settings.model_copy(update={"policy_file": path})

    def close(self) -> None:
        self.parts.close()
        self.queue.close()
        self.database.close()

    def operations(self) -> Operations:
        return Operations(self.database, self.objects, self.queue, self.settings)

    def intake(self) -> Intake:
        policies = Policies(self.settings.policy_file)
        return Intake(self.database, self.objects, self.queue, policies, self.settings)

    def direct_uploads(self, quotas: Quotas) -> DirectUploads:
        policies = Policies(self.settings.policy_file)
        return DirectUploads(self.database, self.objects, self.queue, policies, quotas, self.settings)

    def upload_direct(self, data: bytes, filename: str) -> Scan:
        """Write a file where the service writes, and have it enqueued."""
        key = f"{INCOMING}{SERVICE}/{uuid4()}/{filename}"
        self.objects.put(self.settings.quarantine_bucket, key, data)
        with closing(Quotas(self.settings.redis_url.get_secret_value())) as quotas:
            said = Announced(SERVICE, "service:default", "request-1", filename)
            return self.direct_uploads(quotas).enqueue(key, said)

    def legacy_bucket(self) -> str:
        """A bucket that was there before us."""
        with suppress(
            self.objects._s3.exceptions.BucketAlreadyExists, self.objects._s3.exceptions.BucketAlreadyOwnedByYou
        ):
            self.objects._s3.create_bucket(Bucket=LEGACY)
        return LEGACY

    def backfill(self, source: Place, service: str = SERVICE) -> Backfill:
        policies = Policies(self.settings.policy_file)
        parts = (self.database, self.objects, self.queue, policies, self.settings)
        return Backfill(*parts, source=source, service=service)

    def upload_long_ago(self, data: bytes, filename: str) -> Scan:
        """A file that lies in the bucket of somebody else's, put on record."""
        source = Place(self.legacy_bucket(), f"{uuid4()}/{filename}")
        self.objects.put(*source, data)
        for _ in self.backfill(source).run("operator:test"):
            pass
        return self.newest()

    def upload(
        self, data: bytes, filename: str = "file.txt", declared: str | None = None, service: str = SERVICE
    ) -> Scan:
        """Take a file in; the scan as it was answered."""
        api_keys.add_service(self.database, service)
        upload = incoming(filename, declared, service=service)
        return asyncio.run(self.intake().receive(upload, chunks(data), dict))

    def work(self, scan_id: str) -> Scan:
        """Deliver the task once; the scan afterwards."""
        self.parts.pipeline.run(scan_id)
        return self.scan(scan_id)

    def deliver(self) -> int:
        """Deliver every task that waits in Redis, once; how many there were."""
        with redis.Redis.from_url(self.settings.redis_url.get_secret_value()) as client:
            messages = [json.loads(raw) for queue in Lane for raw in client.rpop(queue, 1000) or []]
        for message in messages:
            work = {SCAN_TASK: self.parts.scan, RESCAN_TASK: self.parts.rescan}[message["headers"]["task"]]
            work(json.loads(base64.b64decode(message["body"]))[0][0])
        return len(messages)

    def recover(self, calendar: Calendar) -> None:
        """Let the hours pass in which sweepers and workers mend what was broken; nobody else lends a hand."""
        for _ in range(_ROUNDS):
            calendar.pass_time(max(self.settings.receive_lease, self.settings.retry_cap) + 1)
            self.sweep()
            self.deliver()
            if not self.rescans() and all(scan.status.ended and scan.tidy_at is None for scan in self.all()):
                return

    def outcome(self, data: bytes, filename: str = "file.txt", declared: str | None = None) -> Scan:
        """Upload and work."""
        return self.work(self.upload(data, filename, declared).id)

    def sweep(self) -> Swept:
        return self.sweeper().sweep()

    def sweeper(self) -> Sweeper:
        policies = Policies(self.settings.policy_file)
        return Sweeper(self.database, self.objects, self.queue, policies, self.settings)

    def scan(self, scan_id: str) -> Scan:
        with self.database.read() as connection:
            scan = scans.get(connection, scan_id)
        assert scan is not None
        return scan

    def newest(self) -> Scan:
        with self.database.read() as connection:
            return scans.page(connection, scans.Filter(), limit=1)[0]

    def all(self) -> list[Scan]:
        with self.database.read() as connection:
            return scans.page(connection, scans.Filter(), limit=10_000)

    def rescans(self) -> list[str]:
        """The scans that a rescan waits for, or is at work on."""
        with self.database.read() as connection:
            return list(connection.execute(select(rescans.c.scan_id)).scalars())

    def flush_queue(self) -> None:
        """Lose everything in Redis."""
        with redis.Redis.from_url(self.settings.redis_url.get_secret_value()) as client:
            client.flushdb()

    def story(self, scan_id: str) -> list[Event]:
        with self.database.read() as connection:
            return events.of(connection, scan_id)

    def path(self, scan_id: str) -> list[str]:
        """The statuses a scan went through."""
        return [event.target.value for event in self.story(scan_id)]

    def amend(self, scan_id: str, **values: Any) -> None:
        """Change a record behind everybody's back."""
        with self.database.write() as connection:
            assert scans.amend(connection, scan_id, **values)

    def quarantined(self) -> list[str]:
        return list(self.objects.keys(self.settings.quarantine_bucket))

    def promoted(self) -> list[str]:
        return list(self.objects.keys(self.settings.clean_bucket))

    def read(self, scan: Scan) -> bytes:
        """The promoted bytes."""
        assert scan.promoted is not None
        info = self.objects.head(scan.promoted.bucket, scan.promoted.key)
        assert info is not None
        return b"".join(self.objects.fetch(scan.promoted.bucket, scan.promoted.key, info.etag))
