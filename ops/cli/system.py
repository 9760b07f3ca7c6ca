"""`lazaretto migrate` and `lazaretto sweep`: what runs beside the API and the workers."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from worker import metric_files, migrations, telemetry
from worker import sweep as sweeping
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.policies import Policies
from worker.settings import load
from worker.store.database import Database

_PERIOD = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 1000 * 365 * 86400.0  # no calendar reaches as far back as people can type


def seconds(text: str) -> float:
    """A period such as 5s, 2m, 1h or 90d, in seconds. Raises `typer.BadParameter`."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no period, expected one like 5s, 2m, 1h or 90d")
    period = float(match[1]) * _UNITS[match[2]]
    if period > _LONGEST:
        raise typer.BadParameter(f"{text!r} is longer than anything here lasts, expected at most 1000 years")
    return period


def migrate() -> None:
    """Bring the database up to date. Safe to repeat."""
    database = Database(load().database_url.get_secret_value(), timeout=None)
    migrations.upgrade(database)
    typer.echo("the database is up to date")


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
