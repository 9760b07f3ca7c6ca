"""`lazaretto stats`: what ended lately, and how things stand."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from ops.cli import records, tables
from ops.cli.client import connect
from ops.cli.periods import seconds
from worker import clock
from worker.rollup import RollUps

_MOST = 10  # of a kind that are shown; --json has all

app = typer.Typer(help="What ended lately, and how things stand.", invoke_without_command=True)


@app.callback()
def stats(
    context: typer.Context,
    window: Annotated[str, typer.Option(help="Until now, from 1h to 31d.")] = "24h",
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Counts by status, service, type and reason, latency, and queues."""
    if context.invoked_subcommand:
        return
    with connect(retries=0) as lazaretto:
        told = lazaretto.stats(window, service=service)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        tables.console().print(_table(told))


def _table(told: Mapping[str, Any]) -> Table:
    table = Table("", "WHAT", "HOW MUCH", box=None, pad_edge=False, header_style="bold")
    for heading, lines in _sections(told):
        for at, (name, value) in enumerate(lines):
            table.add_row(Text("" if at else heading, style="bold"), Text(tables.inert(name)), Text(value))
    return table


def _sections(told: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    yield "ended", [("since", str(told["begin"])), ("decisions", f"{told['total']:,}"), ("bytes", f"{told['bytes']:,}")]
    for kind in ("status", "service", "type", "reason"):
        yield f"by {kind}", [(name, f"{number:,}") for name, number in list(told[f"by_{kind}"].items())[:_MOST]]
    latency = told["latency"] or {}
    yield "latency", [(name, f"{value:.3f} s") for name, value in latency.items()]
    yield "not ended", [(name, f"{number:,}") for name, number in told["pending"].items()]
    yield "held", [(name, f"{number:,}") for name, number in told["held"].items()]
    yield "waiting", [(each["queue"], _waiting(each)) for each in told["queues"]]
    age = told["signature_age"]
    yield "signatures", [("age", "not known" if age is None else str(timedelta(seconds=round(age))))]


def _waiting(queue: Mapping[str, Any]) -> str:
    if not queue["oldest"]:
        return f"{queue['waiting']:,}"
    age = datetime.now(UTC) - datetime.fromisoformat(queue["oldest"])
    return f"{queue['waiting']:,}, the first for {timedelta(seconds=round(age.total_seconds()))}"


@app.command("repair")
def repair(
    since: Annotated[float, typer.Option(parser=seconds, metavar="PERIOD", help="Ended within: 12h, 30d.")] = "30d",  # type: ignore[assignment]  # typer parses defaults
    as_json: Annotated[bool, typer.Option("--json", help="Print the number of hours as JSON.")] = False,
) -> None:
    """Count anew, from the events, what the sweeper has counted. Safe to repeat and to interrupt."""
    begin, counted = clock.now() - timedelta(seconds=since), 0
    shown = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with records.database() as database, shown as progress:
        task = progress.add_task("counting", total=None)
        for at, last in RollUps(database).repair(begin):
            counted += 1
            left = (last - at) // timedelta(hours=1)
            progress.update(task, total=counted + left, completed=counted, description=f"{at:%Y-%m-%d %H:00}")
    typer.echo(json.dumps({"hours": counted}) if as_json else f"{counted} hours are counted anew")
