"""`lazaretto webhooks`: what was delivered, deliver it again, try whether webhooks arrive, and what signs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ops.cli import records, tables
from ops.cli.periods import seconds
from worker import clock, signing
from worker.adapters.task_queue import TaskQueue
from worker.hints import Hints
from worker.policies import Policies
from worker.settings import load
from worker.store.delivery_log import Wanted
from worker.store.outbox import DeliveryStatus
from worker.webhooks import Webhooks

app = typer.Typer(help="Look after webhooks.", no_args_is_help=True)
_COLOURS = {"delivered": "green", "given_up": "bold red", "pending": "yellow"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Service = Annotated[str | None, typer.Option(help="Only of this service.")]
Status = Annotated[DeliveryStatus | None, typer.Option(help="Only with this status.")]
Since = Annotated[float | None, typer.Option(parser=seconds, metavar="PERIOD", help="Only of events within: 30m, 2h.")]


@app.command("list")
def list_deliveries(
    service: Service = None,
    status: Status = None,
    scan: Annotated[str | None, typer.Option(help="Only of this scan.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Deliveries, newest first."""
    with _webhooks() as webhooks:
        page = webhooks.page(_wanted(service, status, scan, since), limit)
    if as_json:
        typer.echo(_json({"items": page}))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "SERVICE", "EVENT", "STATUS", "ATTEMPTS", "LAST ATTEMPT"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("ID", "STATUS"))
    for each in page:
        status_text = Text(each["status"], style=_COLOURS.get(each["status"], ""))
        last = Text(_attempt(each["last_attempt"]) if each["last_attempt"] else "none yet")
        table.add_row(each["id"], each["service"], each["type"], status_text, str(each["attempts"]), last)
    tables.console().print(table)


@app.command("show")
def show(delivery_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """One delivery, what is sent, and what became of each attempt."""
    with _webhooks() as webhooks:
        delivery = webhooks.show(delivery_id)
    _show(delivery, as_json)


@app.command("redeliver")
def redeliver(
    delivery_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    service: Service = None,
    status: Status = None,
    since: Since = None,
    as_json: AsJson = False,
) -> None:
    """Make deliveries again, at once and under the same ids: one, or all that --service, --status and --since say."""
    wanted = _wanted(service, status, None, since, delivery_id)
    if wanted == Wanted():
        raise typer.BadParameter("say which, expected an ID, --service, --status or --since")
    with _webhooks() as webhooks:
        if delivery_id:
            webhooks.show(delivery_id)  # says so where there is none
        number = webhooks.redeliver(wanted)
    typer.echo(_json({"redelivered": number}) if as_json else f"{number} to be delivered again")


@app.command("test")
def send_test(service: Annotated[str, typer.Argument(help="Whom to tell.")], as_json: AsJson = False) -> None:
    """Send a service an event of the type webhook.test, once, and say what became of it. Exit code 1: it failed."""
    with _webhooks() as webhooks:
        delivery = webhooks.test(service)
    _show(delivery, as_json)
    if delivery["status"] != DeliveryStatus.DELIVERED:
        raise typer.Exit(1)


@app.command("secret")
def secret(
    service: Annotated[str, typer.Argument(help="Whose webhooks they are.")],
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one.")] = False,
    grace: Annotated[
        float, typer.Option(parser=seconds, metavar="PERIOD", help="How long the one before stays valid beside it.")
    ] = "24h",  # type: ignore[assignment]  # typer parses defaults
) -> None:
    """Print what a service's webhooks are signed with; made if there is none."""
    with records.database() as database:
        if rotate:
            typer.echo(signing.rotate(database, service, timedelta(seconds=grace)))
        else:
            typer.echo(signing.ensure(database, service))


@contextmanager
def _webhooks() -> Iterator[Webhooks]:
    settings = load()
    policies = Policies(settings.policy_file)
    with records.database() as database, closing(TaskQueue(settings)) as queue:
        yield Webhooks(database, Hints(queue, policies), policies, settings)


def _wanted(
    service: str | None,
    status: DeliveryStatus | None,
    scan: str | None,
    since: float | None,
    delivery_id: str | None = None,
) -> Wanted:
    begin = clock.now() - timedelta(seconds=since) if since is not None else None
    return Wanted(delivery_id, service, status, scan, begin)


def _show(delivery: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(_json(delivery))
        return
    console = tables.console()
    for name, value in delivery.items():
        if name not in {"log", "last_attempt"}:
            line = Text.assemble((f"{name:12} ", "bold"), tables.inert("" if value is None else str(value)))
            console.print(line, soft_wrap=True)
    for each in delivery["log"]:
        told = f"{_attempt(each)}  {each['seconds']:.2f} s  {each['url']}"
        console.print(Text(tables.inert(told)), soft_wrap=True)


def _attempt(attempt: dict[str, Any]) -> str:
    outcome = attempt["error"] or f"answered {attempt['status_code']}"
    return tables.inert(f"{attempt['at']:%Y-%m-%d %H:%M:%S}  {outcome}")


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str)
