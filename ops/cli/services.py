"""`lazaretto services`: who may upload."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ops.cli import installation
from worker import api_keys
from worker.store import services as stored

app = typer.Typer(help="Services: who may upload. Each sees its own scans only.", no_args_is_help=True)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="a-z, 0-9, - and _; for good: files and records are kept under it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the service as JSON.")] = False,
) -> None:
    """Put a service on record. Safe to repeat."""
    with installation.database() as database:
        added = api_keys.add_service(database, name)
    if as_json:
        typer.echo(json.dumps({"name": name, "added": added}))
    else:
        typer.echo(f"service {name} is on record" if added else f"service {name} was on record already")


@app.command("list")
def list_services(as_json: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False) -> None:
    """Every service, and since when."""
    with installation.database() as database, database.read() as connection:
        known = stored.all_names(connection)
    if as_json:
        typer.echo(json.dumps([{"name": name, "created_at": at.isoformat()} for name, at in known.items()], indent=2))
    else:
        typer.echo("\n".join(f"{name:24} {at:%Y-%m-%d %H:%M}" for name, at in known.items()))
