"""`lazaretto backfill`: have scanned what lay in a bucket before there was Lazaretto."""

from __future__ import annotations

import getpass
import os
from contextlib import closing
from typing import Annotated

import typer
from rich.console import Console

from ops.cli import bulk, records, tables
from ops.cli.choice import AsJson, DryRun, Yes
from worker import telemetry
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Place
from worker.adapters.task_queue import TaskQueue
from worker.backfill import Backfill, Passed
from worker.errors import LazarettoError
from worker.policies import Policies
from worker.settings import load

Source = Annotated[str, typer.Argument(metavar="BUCKET/PREFIX", help="All objects whose keys begin so.")]
Service = Annotated[str, typer.Option("--service", help="Whose files they are: by its policy they are judged.")]

_WHAT = "put on record"


def backfill(
    source: Source, service: Service, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Have files scanned that came into a bucket without us: behind all uploads; the originals are never touched.

    Safe to repeat, also after an interruption: what is on record is passed over.
    Exit code 0: done; 1: not confirmed, or there is none; 2: not all could be; 130: interrupted.
    """
    telemetry.configure()
    settings, place = load(), _place(source)
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    with records.database() as database, closing(TaskQueue(settings)) as queue:
        policies = Policies(settings.policy_file)
        work = Backfill(database, objects, queue, policies, settings, source=place, service=service)
        found = _counted(work)
        typer.echo(_said(found, place), err=True)
        tally = bulk.Tally(found.new, dry_run)
        if found.new and not dry_run:
            bulk.confirm(found.new, f"put on record for {service}", yes=yes)
            _run(work, tally)
    bulk.finish(tally, _WHAT, as_json=as_json)


def _counted(work: Backfill) -> Passed:
    """Nobody can tell how much there is to come."""
    passed, console = Passed(), Console(stderr=True)
    with console.status("counting") as status:
        for passed in work.count():
            status.update(f"counting: {passed.objects:,} objects")
    return passed


def _run(work: Backfill, tally: bulk.Tally) -> None:
    with bulk.progress(tally, _WHAT) as done:
        try:
            for passed in work.run(f"operator:{_who()}"):
                done(passed.recorded - tally.done)
        except KeyboardInterrupt:
            done(work.passed.recorded - tally.done)
            raise


def _said(passed: Passed, place: Place) -> str:
    others = {
        "known before": passed.known,
        "folders": passed.folders,
        "with a key that no database holds": passed.unrecordable,
    }
    beside = "".join(f", {number} {what}" for what, number in others.items() if number)
    return tables.inert(f"{place}: {passed.objects} objects, {passed.new} new ({passed.size:,} bytes){beside}")


def _place(text: str) -> Place:
    bucket, _, prefix = text.removeprefix("s3://").partition("/")
    if not bucket:
        raise LazarettoError(f"{text!r} names no bucket", expected="BUCKET, or BUCKET/PREFIX")
    return Place(bucket, prefix)


def _who() -> str:
    """Whoever is logged in; containers often know of none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
