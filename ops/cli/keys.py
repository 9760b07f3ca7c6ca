"""`lazaretto keys`: by what a service shows that it is itself."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from ops.cli import records
from ops.cli.periods import seconds
from worker import api_keys, clock
from worker.api_keys import NewKey
from worker.services import Scope
from worker.store import services as stored
from worker.store.services import KeyRecord

app = typer.Typer(help="API keys. A key is shown once, and known by its prefix afterwards.", no_args_is_help=True)

_DAY = 86400  # seconds
_USUAL = (Scope.SUBMIT, Scope.READ)
AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="As `keys list` shows it: lz_ and 8 characters.")]


@app.command("create")
def create(
    service: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="What it allows; may repeat. Else submit and read.")] = None,
    expires_in: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="PERIOD", help="How long it is valid: 12h, 90d; else for good."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once."""
    lifetime = None if expires_in is None else int(expires_in)
    with records.database() as database:
        _show_new(api_keys.create(database, service, scope or _USUAL, lifetime), as_json)


@app.command("rotate")
def rotate(
    prefix: Prefix,
    grace: Annotated[
        float | None,
        typer.Option(parser=seconds, metavar="PERIOD", help="How long the old one stays valid: 1h, 0. Else 24h."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key like this one, which itself ends after --grace. The new one is shown, this once."""
    with records.database() as database:
        _show_new(api_keys.rotate(database, prefix, _DAY if grace is None else int(grace)), as_json)


@app.command("revoke")
def revoke(prefix: Prefix) -> None:
    """End a key at once, for good."""
    with records.database() as database:
        api_keys.revoke(database, prefix)
    typer.echo(f"key {prefix} is revoked")


@app.command("list")
def list_keys(
    service: Annotated[str | None, typer.Option(help="Only of this service.")] = None, as_json: AsJson = False
) -> None:
    """Every key, whether it is valid, and when it was last used."""
    with records.database() as database, database.read() as connection:
        found = stored.all_keys(connection, service)
    if as_json:
        typer.echo(json.dumps([_record(key) for key in found], indent=2))
        return
    for key in found:
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
        typer.echo(f"{key.prefix:16} {key.service:24} {','.join(key.scopes):22} {_standing(key):24} {used}")


def _show_new(new: NewKey, as_json: bool) -> None:
    """The key alone on standard output, so that a script can take it from there."""
    if as_json:
        typer.echo(json.dumps(asdict(new) | {"expires_at": _iso(new.expires_at)}))
        return
    until = f"until {new.expires_at:%Y-%m-%d %H:%M}" if new.expires_at else "until it is revoked"
    typer.echo(f"key {new.prefix} of {new.service}, for {', '.join(new.scopes)}, {until}; shown only now:", err=True)
    typer.echo(new.key)


def _standing(key: KeyRecord) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at:%Y-%m-%d %H:%M}"
    if key.expires_at is None:
        return "valid"
    return f"{'until' if key.valid_at(clock.now()) else 'expired'} {key.expires_at:%Y-%m-%d %H:%M}"


def _record(key: KeyRecord) -> dict[str, Any]:
    moments = {name: _iso(value) for name, value in asdict(key).items() if name.endswith("_at")}
    return asdict(key) | moments | {"valid": key.valid_at(clock.now())}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
