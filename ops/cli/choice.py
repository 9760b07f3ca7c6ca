"""Which scans a command is about: those that are named, or all that meet what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ops.cli.periods import seconds

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="These scans; or say below which.")]
Service = Annotated[str | None, typer.Option(help="Of this service.")]
Code = Annotated[
    str | None, typer.Option("--code", "--reason", metavar="CODE", help="With this code, of a reason or of the error.")
]
Sha256 = Annotated[str | None, typer.Option(help="Of these bytes.")]
Since = Annotated[float | None, typer.Option(parser=seconds, metavar="PERIOD", help="Arrived within: 30m, 2h.")]
Until = Annotated[
    float | None, typer.Option(parser=seconds, metavar="PERIOD", help="Arrived before that: 30m, 2h ago.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for their number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """Either `ids`, in their order and each once, or what the client is told of the others."""

    ids: list[str]
    filters: dict[str, Any]

    @classmethod
    def of(
        cls, ids: list[str] | None, *, since: float | None = None, until: float | None = None, **filters: Any
    ) -> Choice:
        """Raises `typer.BadParameter` for both, and for neither: nobody means every scan there is."""
        given = {name: each for name, each in filters.items() if each} | ago(since=since, until=until)
        if bool(ids) == bool(given):
            raise typer.BadParameter("which scans? expected either their ids, or at least one option that says which")
        return cls(list(dict.fromkeys(ids or ())), given)


def ago(**periods: float | None) -> dict[str, datetime]:
    """The moments that lie so many seconds back, of one now; what is not given is left out."""
    now = datetime.now(UTC)
    return {name: now - timedelta(seconds=each) for name, each in periods.items() if each is not None}
