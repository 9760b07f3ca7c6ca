"""`lazaretto backfill`: have scanned what lay in a bucket before there was Lazaretto."""

from __future__ import annotations

import getpass
import os
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from ops.cli import installation, many, tables
from worker import telemetry
from worker.adapters.object_store import ObjectStore, Place
from worker.adapters.task_queue import TaskQueue
from worker.backfill import Backfill, Tally
from worker.errors import LazarettoError
from worker.policies import Policies
from worker.settings import load

Source = Annotated[str, typer.Argument(metavar="BUCKET/PREFIX", help="All objects whose keys begin so.")]
Service = Annotated[str, typer.Option("--service", help="Whose files they are: by its policy they are judged.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for their number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]


def backfill(
    source: Source, service: Service, dry_run: DryRun = False, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Have files scanned that came into a bucket without us: behind all uploads; the originals are never touched.

    Safe to repeat, and to break off: what is on record is passed over, and the same command goes on.
    Exit code 0: all are on record; 130: broken off; 2: it could not be done.
    """
    telemetry.configure()
    settings, place = load(), _place(source)
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    with installation.database() as database, closing(TaskQueue(settings)) as queue:
        policies = Policies(settings.policy_file)
        work = Backfill(database, objects, queue, policies, settings, source=place, service=service)
        found = _count(work)
        if dry_run or not found.new:
            _sum_up(found, place, "would be put on record" if found.new else "is new", as_json=as_json, dry_run=dry_run)
            return
        if not as_json:
            typer.echo(_said(found, place, "is to be put on record"), err=True)
        many.confirm(found.new, f"have {found.new} files scanned as those of {service}", yes=yes)
        _run(work, found.new, place, as_json=as_json)


def _count(work: Backfill) -> Tally:
    tally = Tally()
    with many.bar("counting", None) as progress:
        for tally in work.count():
            progress.update(progress.task_ids[0], completed=tally.objects)
    return tally


def _run(work: Backfill, total: int, place: Place, *, as_json: bool) -> None:
    tally, interrupted = Tally(), False
    with many.bar("recording", total) as progress:
        try:
            for tally in work.run(f"operator:{_who()}"):
                progress.update(progress.task_ids[0], completed=tally.new)
        except KeyboardInterrupt:
            interrupted = True
    _sum_up(tally, place, "is on record now", as_json=as_json, interrupted=interrupted)
    if interrupted:
        typer.echo("broken off; the same command goes on", err=True)
        raise typer.Exit(many.INTERRUPTED)


def _sum_up(
    tally: Tally, place: Place, done: str, *, as_json: bool, dry_run: bool = False, interrupted: bool = False
) -> None:
    said = asdict(tally) | {"dry_run": dry_run, "interrupted": interrupted}
    many.sum_up(said, _said(tally, place, done), as_json=as_json)


def _said(tally: Tally, place: Place, done: str) -> str:
    others = {"known before": tally.known, "folders": tally.folders, "with a key no database holds": tally.unrecordable}
    beside = "".join(f", {number} {what}" for what, number in others.items() if number)
    where = tables.inert(str(place))
    return f"{where}: {tally.new} of {tally.objects} objects ({tally.size:,} bytes) {done}{beside}"


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
