"""What one API process holds, and how a request gets at it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

from fastapi import Depends, Request

from api.endings import Endings
from api.kept import Kept
from api.scrapes import Scrapes
from api.waiting import Waiting
from worker import metric_files, migrations, services, sessions, signing
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.admission import Admission
from worker.direct_uploads import DirectUploads
from worker.errors import Permanent
from worker.exposition import Machine, Together
from worker.hints import Hints
from worker.intake import Intake
from worker.operations import Operations
from worker.policies import Policies
from worker.quotas import Quotas
from worker.rescans import Rescans
from worker.settings import Settings
from worker.standing import Standing
from worker.stats import Stats
from worker.store.database import Database

if TYPE_CHECKING:
    from api.health import Readiness

P = ParamSpec("P")
T = TypeVar("T")
STORE_THREADS = 64  # calls at once of who asks the store; where it hangs they wait, and nobody else with them
THREADS = 32  # calls to database and Redis at once, of everybody else; each is short

_READINESS_SECONDS = 1.0  # nobody is asked for a key


@dataclass(frozen=True, slots=True)
class Parts:
    """The use cases and adapters of this process."""

    settings: Settings
    database: Database
    policies: Policies
    quotas: Quotas
    objects: ObjectStore
    queue: TaskQueue
    admission: Admission
    intake: Intake
    direct_uploads: DirectUploads
    operations: Operations
    rescans: Rescans
    stats: Stats
    hints: Hints
    waiting: Waiting
    session_secret: str = field(repr=False)
    standing: Standing
    scrapes: Scrapes
    readiness: Kept[Readiness]
    threads: ThreadPoolExecutor
    store_threads: ThreadPoolExecutor  # of the event loop, for `asyncio.to_thread`: intake's

    async def in_thread(self, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run a call that blocks where it holds up no other request."""
        within = partial(contextvars.copy_context().run, call, *arguments, **options)
        return await asyncio.get_running_loop().run_in_executor(self.threads, within)

    async def in_store_thread(self, call: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """The same for a call that may wait long for the store, as intake's do: keys are looked up, and scans read, in
        others."""
        return await asyncio.to_thread(call, *arguments, **options)

    def close(self) -> None:
        self.store_threads.shutdown(cancel_futures=True)
        self.threads.shutdown(cancel_futures=True)
        self.standing.close()
        self.queue.close()
        self.quotas.close()
        self.database.close()


def make(settings: Settings) -> Parts:
    """Put the parts together. Raises `Permanent` where the database is not up to date."""
    metric_files.share(settings.metrics_dir)
    database = Database(settings.database_url.get_secret_value(), connect_timeout=settings.connect_timeout)
    if migrations.pending(database):
        raise Permanent("the database is not up to date", expected="`lazaretto migrate`, once, before the start")
    if settings.bootstrap_api_key:
        services.ensure_bootstrap_key(database, settings.bootstrap_api_key.get_secret_value())
    objects = ObjectStore(
        connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout, public_url=settings.s3_public_url
    )
    queue = TaskQueue(settings)
    policies = Policies(settings.policy_file)
    signing.ensure_all(database, policies)
    redis_url = settings.redis_url.get_secret_value()
    quotas = Quotas(redis_url)
    threads = ThreadPoolExecutor(THREADS, thread_name_prefix="api")
    standing = Standing(database, objects, queue, settings)
    return Parts(
        settings=settings,
        database=database,
        policies=policies,
        quotas=quotas,
        objects=objects,
        queue=queue,
        admission=Admission(database, settings),
        intake=Intake(database, objects, queue, policies, settings),
        direct_uploads=DirectUploads(database, objects, queue, policies, quotas, settings),
        operations=Operations(database, objects, queue, settings),
        rescans=Rescans(database, queue),
        stats=Stats(database),
        hints=Hints(queue, policies),
        waiting=Waiting(database, Endings(redis_url, connect_timeout=settings.connect_timeout), threads),
        session_secret=sessions.signing_secret(database),
        standing=standing,
        scrapes=Scrapes(Together(Machine(policies), standing), threads),
        readiness=Kept(_READINESS_SECONDS),
        threads=threads,
        store_threads=ThreadPoolExecutor(STORE_THREADS, thread_name_prefix="store"),
    )


async def of(request: Request) -> Parts:
    """The parts of the application that serves this request. A coroutine, or FastAPI would ask in a thread."""
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(of)]
