"""`lazaretto scans`: look at what happened. What operators do about it has modules of its own."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.text import Text

from lazaretto_client import Lazaretto
from ops.cli import erase, release, rescan, retry, tables
from ops.cli.choice import Code, Since, Until, ago
from ops.cli.client import connect

app = typer.Typer(help="Look at scans, and act on them.", no_args_is_help=True)


@app.command("list")
def list_scans(
    status: Annotated[list[str] | None, typer.Option(help="Only with this status; may repeat.")] = None,
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None,
    sha256: Annotated[str | None, typer.Option(help="Only of these bytes.")] = None,
    since: Since = None,
    until: Until = None,
    reason: Code = None,
    signature: Annotated[str | None, typer.Option(help="Only with this very signature.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only of this type, as detected.")] = None,
    name: Annotated[str | None, typer.Option(help="Only files whose name begins so.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print the page as JSON.")] = False,
) -> None:
    """Scans, newest first."""
    times = ago(since=since, until=until)
    with connect(retries=0) as lazaretto:
        wanted = {"service": service, "sha256": sha256, "reason": reason, "signature": signature, "type": kind}
        items, cursor = _newest(lazaretto, limit, status=status or (), name=name, **wanted, **times)
    if as_json:
        typer.echo(json.dumps({"items": items, "next_cursor": cursor}, indent=2))
    else:
        tables.show(items, tables.console())


def _newest(lazaretto: Lazaretto, limit: int, **wanted: Any) -> tuple[list[dict[str, Any]], str | None]:
    """So many scans, if there are, from as many pages as it takes; and the cursor of what comes next."""
    items: list[dict[str, Any]] = []
    page = lazaretto.page(limit=limit, **wanted)
    while True:
        items += [dict(scan.raw) for scan in page.items]
        if len(items) == limit or page.next_cursor is None:
            return items, page.next_cursor
        page = lazaretto.page(limit=limit - len(items), cursor=page.next_cursor, **wanted)


@app.command("show")
def show(
    scan_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Annotated[bool, typer.Option("--json", help="Print scan and events as JSON.")] = False,
) -> None:
    """One scan and its story."""
    with connect(retries=0) as lazaretto:
        scan = lazaretto.get(scan_id).raw
        events = [event.raw for event in lazaretto.events(scan_id)]
    if as_json:
        typer.echo(json.dumps({"scan": scan, "events": events}, indent=2))
        return
    console = tables.console()
    for name, value in scan.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        console.print(Text(f"{name:14} ", style="bold"), Text(tables.inert(shown)), sep="")
    for event in events:
        console.print(Text(tables.inert(f"{event['at']}  {event['to']:12} {event['actor']}: {event['reason']}")))


app.command("retry")(retry.retry)
app.command("rescan")(rescan.rescan)
app.command("release")(release.release)
app.command("erase")(erase.erase)
