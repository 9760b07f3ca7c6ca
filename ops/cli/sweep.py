"""`lazaretto sweep`: what recovers, beside the API and the workers."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from ops.cli.periods import seconds
from worker import metric_files, telemetry
from worker import sweep as sweeping
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.policies import Policies
from worker.settings import load
from worker.store.database import Database


def sweep(
    every: Annotated[
        float | None, typer.Option(parser=seconds, metavar="PERIOD", help="Sweep on, with this pause: 5s.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Recover what was lost on the way: once, or with --every for ever. Any number may run."""
    telemetry.configure()
    settings = load()
    metric_files.share(settings.metrics_dir)
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    policies = Policies(settings.policy_file)
    with (
        closing(Database(settings.database_url.get_secret_value())) as database,
        closing(TaskQueue(settings)) as queue,
    ):
        sweeper = sweeping.Sweeper(database, objects, queue, policies, settings)
        if every is None:
            _report(sweeper.sweep(), as_json)
        else:
            telemetry.started("sweeper")
            _sweep_on(sweeper, every)


def _report(swept: sweeping.Swept, as_json: bool) -> None:
    numbers = asdict(swept)
    typer.echo(json.dumps(numbers) if as_json else "\n".join(f"{name:16} {n}" for name, n in numbers.items()))


def _sweep_on(sweeper: sweeping.Sweeper, pause: float) -> None:
    """A signal ends it after the sweep that it comes in."""
    ending = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    sweeping.run(sweeper, lambda: signal.sigtimedwait(ending, pause) is not None)
