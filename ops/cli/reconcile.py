"""`lazaretto reconcile`: what the buckets hold against what the database says."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated

import typer

from ops.cli import tables
from worker import telemetry
from worker.adapters.object_store import ObjectStore
from worker.reconcile import Found, Reconciler, Summary
from worker.settings import load
from worker.store.database import Database
from worker.telemetry import Log


def reconcile(
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete objects that no record stands for, after showing how many.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for the number of objects to delete.")] = False,
    most: Annotated[bool, typer.Option("--most", help="It may be more than half of all objects.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object per line; the summary comes last.")] = False,
) -> None:
    """Compare buckets and database, both ways. Reports; records are never changed.

    Exit code 0: they agree. 1: they do not, and the findings are printed. 2: it could not be told.
    """
    telemetry.configure()
    settings = load()
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    with closing(Database(settings.database_url.get_secret_value())) as database:
        reconciler = Reconciler(database, objects, settings)
        for found in reconciler.findings():
            _show(found, as_json)
        summary = reconciler.summary
        _sum_up(summary, as_json)
        if delete and summary.deletable:
            reconciler.check_plausible(most=most)
            _ask(summary.deletable, yes=yes)
            _delete(reconciler, as_json)
    raise typer.Exit(1 if summary.findings else 0)


def _show(found: Found, as_json: bool, done: str = "") -> None:
    if as_json:
        said = {"finding": found.finding, "bucket": found.place.bucket, "key": found.place.key, "scan": found.scan_id}
        typer.echo(json.dumps(said | ({"done": done} if done else {})))
    else:
        typer.echo(f"{done or found.finding:10} {tables.inert(str(found.place))}")


def _sum_up(summary: Summary, as_json: bool) -> None:
    counts = {str(finding): number for finding, number in sorted(summary.findings.items())}
    if as_json:
        typer.echo(json.dumps({"objects": summary.objects, "records": summary.records, "findings": counts}))
        return
    listed = ", ".join(f"{number} {finding}" for finding, number in counts.items()) or "they agree"
    typer.echo(f"{summary.objects} objects, {summary.records} records: {listed}")


def _ask(number: int, *, yes: bool) -> None:
    """Whoever deletes must have seen how much."""
    if not yes and typer.prompt(f"Type {number} to delete {number} objects for good", default="") != str(number):
        typer.echo("nothing is deleted", err=True)
        raise typer.Exit(1)


def _delete(reconciler: Reconciler, as_json: bool) -> None:
    for found in reconciler.deletions():
        telemetry.warn(Log.OBJECT_DELETED, finding=found.finding.value, place=str(found.place))
        _show(found, as_json, done="deleted")
