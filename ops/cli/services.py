"""`lazaretto services`: who may upload."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ops.cli import records
from worker import api_keys, signing
from worker.policies import Policies
from worker.settings import load
from worker.store import services as stored

app = typer.Typer(help="Services: who may upload. Each sees its own scans only.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, - and _; for good: files and records are kept under it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the service as JSON.")] = False,
) -> None:
    """Put a service on record; one whose policy names a webhook URL is told of its very first file. Safe to repeat."""
    policies = Policies(load().policy_file)
    with records.database() as database:
        added = api_keys.add_service(database, name)
        signing.ensure_all(database, policies)  # else the sweeper does, which may be too late for the first file
    if as_json:
        typer.echo(json.dumps({"name": name, "added": added}))
    else:
        typer.echo(f"service {name} is on record" if added else f"service {name} was on record already")


@app.command("list")
def list_services(as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """Every service, and since when."""
    with records.database() as database, database.read() as connection:
        known = stored.all_names(connection)
    if as_json:
        typer.echo(json.dumps([{"name": name, "created_at": at.isoformat()} for name, at in known.items()], indent=2))
    else:
        typer.echo("\n".join(f"{name:24} {at:%Y-%m-%d %H:%M}" for name, at in known.items()))
