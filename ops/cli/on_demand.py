"""The commands, each imported when it is asked for: together they take a second, one that only asks the API a third."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

_COMMANDS = {
    "submit": "submit:submit",
    "scans": "scans:app",
    "services": "services:app",
    "keys": "keys:app",
    "policy": "policy:app",
    "webhooks": "webhooks:app",
    "stats": "stats:app",
    "migrate": "migrate:migrate",
    "sweep": "sweep:sweep",
    "metrics": "metrics:metrics",
    "backfill": "backfill:backfill",
    "reconcile": "reconcile:reconcile",
    "doctor": "doctor:doctor",
}


class _Commands(Mapping[str, Any]):
    """By name; to look one up imports it."""

    def __getitem__(self, name: str) -> Any:
        found = pkgutil.resolve_name(f"ops.cli.{_COMMANDS[name]}")
        if isinstance(found, typer.Typer):
            command: Any = get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            command = get_command(alone)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class OnDemand(TyperGroup):
    """A group of them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment]  # nobody adds one
