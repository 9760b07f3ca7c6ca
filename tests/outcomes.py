"""Outcomes without files, by the cheapest way there is, and the notifier that tells of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from pydantic import SecretStr
from sqlalchemy import select, update

from ops.embedded.application import notifier
from ops.embedded.supervisor import Supervisor
from worker import clock, migrations, signing
from worker.adapters.addresses import networks
from worker.adapters.receiver import Receivers
from worker.adapters.task_queue import TaskQueue
from worker.deliver import Deliverer
from worker.hints import Hints
from worker.policies import Policies
from worker.scan import Cause, Mover, Scan, Status
from worker.settings import REPOSITORY, Settings
from worker.store import delivery_log, outbox, scans, services, webhook_secrets
from worker.store.database import Database
from worker.store.delivery_log import Record, Wanted
from worker.store.tables import deliveries, endpoints
from worker.sweep_webhooks import WebhookSweeper
from worker.webhooks import Webhooks

LOOPBACK = "127.0.0.0/8"
REFUSED = Cause(Mover.INTAKE, "the upload broke the size limit")


@dataclass
class Outcomes:
    """The part of a system that webhooks need: database, Redis, policy."""

    settings: Settings
    database: Database
    queue: TaskQueue
    policies: Policies
    receivers: Receivers

    @classmethod
    @contextmanager
    def of(
        cls, folder: Path, database_url: str, redis_url: str, urls: Mapping[str, str], **changes: Any
    ) -> Iterator[Outcomes]:
        """For services whose webhooks go to these URLs; `changes` are settings."""
        settings = Settings(
            _env_file=None,
            home=folder,
            database_url=SecretStr(database_url),
            redis_url=SecretStr(redis_url),
            policy_file=policy(folder, urls),
            webhook_allowed_networks=(LOOPBACK,),
            **changes,
        )
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
        database = Database(database_url)
        migrations.upgrade(database)
        with database.write() as connection:
            for name in urls:
                services.add(connection, name)
        policies = Policies(settings.policy_file)
        signing.ensure_all(database, policies)
        receivers = Receivers(timeout=settings.webhook_timeout, allowed=networks((LOOPBACK,)))
        made = cls(settings, database, TaskQueue(settings), policies, receivers)
        try:
            yield made
        finally:
            receivers.close()
            made.queue.close()
            database.close()

    def valid(self, service: str) -> list[str]:
        """All secrets that are valid now."""
        with self.database.read() as connection:
            return webhook_secrets.valid(connection, service)

    def other_policies(self, urls: Mapping[str, str]) -> Policies:
        """As if the policy had named these webhooks."""
        folder = self.settings.home / "other"
        folder.mkdir(exist_ok=True)
        return Policies(policy(folder, urls))

    @property
    def hints(self) -> Hints:
        return Hints(self.queue, self.policies)

    @property
    def webhooks(self) -> Webhooks:
        return Webhooks(self.database, self.hints, self.policies, self.settings)

    def deliverer(self) -> Deliverer:
        return Deliverer(self.database, self.receivers, self.hints, self.policies, self.settings)

    def sweep(self) -> int:
        return WebhookSweeper(self.database, self.queue, self.policies, self.settings).notify()

    def secret(self, service: str) -> str:
        return signing.ensure(self.database, service)

    def outcome(self, service: str, *, hint: bool = False) -> Scan:
        """An upload that was refused, and is told of."""
        scan = self.begun(service)
        with self.database.write() as connection:
            ended = scans.move(connection, scan.id, Status.RECEIVING, Status.REJECTED, REFUSED)
        assert ended is not None
        if hint:
            self.hints.ended(service, scan.id)
        return ended

    def begun(self, service: str, status: Status = Status.RECEIVING) -> Scan:
        """A scan in any status."""
        now = clock.now()
        scan = Scan(clock.new_id(), service, status, "file.txt", None, now, now, request_id="request-1")
        with self.database.write() as connection:
            scans.add(connection, scan, REFUSED)
        return scan

    @staticmethod
    def wanted(**wanted: Any) -> Wanted:
        return Wanted(**wanted)

    def deliveries(self, **wanted: Any) -> list[Record]:
        """As operators see them, oldest first."""
        with self.database.read() as connection:
            return delivery_log.page(connection, Wanted(**wanted), 100_000)[::-1]

    def log(self, delivery_id: str) -> list[Record]:
        with self.database.read() as connection:
            return delivery_log.attempts(connection, delivery_id)

    def pending(self, service: str | None = None) -> int:
        return len(self.deliveries(service=service, status=outbox.DeliveryStatus.PENDING))

    def endpoint(self, service: str) -> Any:
        with self.database.read() as connection:
            return connection.execute(select(endpoints).where(endpoints.c.service == service)).one()

    def expire_leases(self) -> None:
        """Let those of whoever was killed be over."""
        with self.database.write() as connection:
            held = deliveries.c.lease_until.is_not(None)
            connection.execute(update(deliveries).where(held).values(lease_until=clock.now()))

    @contextmanager
    def notifying(self) -> Iterator[Supervisor]:
        """The notifier as a process; it comes back when it is killed."""
        with Supervisor(self.settings.home / "logs", say=print, first_pause=0.1) as supervisor:
            supervisor.start(notifier(self.variables()))
            keeper = threading.Thread(target=supervisor.watch)
            keeper.start()
            try:
                yield supervisor
            finally:
                supervisor.interrupt()
                keeper.join()

    @contextmanager
    def sweeping(self, every: float = 0.5) -> Iterator[None]:
        """The sweeper's part, in a thread."""
        over = threading.Event()

        def sweep() -> None:
            while not over.wait(every):
                self.sweep()

        thread = threading.Thread(target=sweep)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def variables(self) -> dict[str, str]:
        """What leads other processes here."""
        settings = self.settings
        given = {
            "HOME": settings.home,
            "DATABASE_URL": settings.database_url.get_secret_value(),
            "REDIS_URL": settings.redis_url.get_secret_value(),
            "POLICY_FILE": settings.policy_file,
            "WEBHOOK_ALLOWED_NETWORKS": LOOPBACK,
        }
        names = ("webhook_timeout", "webhook_retry_base", "webhook_retry_cap", "webhook_peace_cap", "webhook_failures")
        paces = {name.upper(): getattr(settings, name) for name in names}
        return {f"LAZARETTO_{name}": str(value) for name, value in (given | paces).items()}


def policy(folder: Path, urls: Mapping[str, str]) -> Path:
    """The default policy, with webhooks for some services."""
    parts = [(REPOSITORY / "ops" / "policy.toml").read_text()]
    parts += [f'[services.{name}]\nwebhook_url = "{url}"' for name, url in urls.items()]
    path = folder / "policy.toml"
    path.write_text("\n".join(parts))
    return path
