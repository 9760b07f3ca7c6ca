"""`lazaretto scans rescan`: look at promoted files once more, since the signatures have changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

import lazaretto_client
from lazaretto_client import Lazaretto
from ops.cli import many, tables
from ops.cli.client import connect
from ops.cli.system import seconds
from worker.errors import LazarettoError

_OLDER = "--signatures-older-than"

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]…", help="These scans.")]
Older = Annotated[
    float | None,
    typer.Option(_OLDER, parser=seconds, metavar="PERIOD", help="All that older signatures saw last: 7d."),
]
Service = Annotated[str | None, typer.Option(help="Of those, only this service's.")]
Since = Annotated[float | None, typer.Option(parser=seconds, metavar="PERIOD", help="Only what arrived within: 30d.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for their number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def rescan(
    ids: Ids = None,
    older: Older = None,
    service: Service = None,
    since: Since = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Look at promoted files once more, behind all uploads. Where malware is found the file is recalled.

    Safe to repeat, and to break off: what waits already is not asked for twice.
    Exit code 0: asked for; 1: some scans cannot be rescanned; 2: it could not be told.
    """
    if bool(ids) == (older is not None) or (ids and (service or since)):
        raise LazarettoError("it is not said what to look at", expected=f"ids of scans, or {_OLDER} and its filters")
    with connect() as lazaretto:
        if ids:
            _rescan_some(lazaretto, ids, dry_run=dry_run, as_json=as_json)
        else:
            now = datetime.now(UTC)
            wanted: dict[str, Any] = {"service": service, "since": now - timedelta(seconds=since) if since else None}
            wanted["signatures_older_than"] = now - timedelta(seconds=older or 0)
            _rescan_all(lazaretto, wanted, dry_run=dry_run, yes=yes, as_json=as_json)


def _rescan_some(lazaretto: Lazaretto, ids: list[str], *, dry_run: bool, as_json: bool) -> None:
    asked, faults = list[dict[str, Any]](), list[lazaretto_client.Problem]()
    for scan_id in dict.fromkeys(ids):
        try:
            scan = lazaretto.get(scan_id) if dry_run else lazaretto.rescan(scan_id)
            asked.append(dict(scan.raw))
        except lazaretto_client.Problem as fault:
            faults.append(fault)
            typer.echo(f"lazaretto: {tables.inert(scan_id)}: {fault}", err=True)
    if as_json:
        typer.echo(json.dumps(asked, indent=2))
    else:
        tables.show(asked, tables.console())
    raise typer.Exit(1 if faults else 0)


def _rescan_all(lazaretto: Lazaretto, wanted: dict[str, Any], *, dry_run: bool, yes: bool, as_json: bool) -> None:
    with many.bar("counting", None):
        number = sum(step.count for step in lazaretto.rescan_all(**wanted, dry_run=True))
    said = {"count": number, "asked": 0, "dry_run": dry_run, "interrupted": False}
    if dry_run or number == 0:
        many.sum_up(said, f"{number} files would be looked at once more", as_json=as_json)
        return
    many.confirm(number, f"have {number} files looked at once more", yes=yes)
    with many.bar("asking", number) as progress:
        try:
            for step in lazaretto.rescan_all(**wanted):
                said["asked"] += step.count
                progress.advance(progress.task_ids[0], step.count)
        except KeyboardInterrupt:
            said["interrupted"] = True
    many.sum_up(said, f"{said['asked']} files wait to be looked at once more", as_json=as_json)
    if said["interrupted"]:
        typer.echo("broken off; the same command goes on", err=True)
        raise typer.Exit(many.INTERRUPTED)
