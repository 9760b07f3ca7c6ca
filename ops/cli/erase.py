"""`lazaretto scans erase`: the bytes are deleted wherever they are; the records stay."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.cli import bulk, found
from ops.cli.choice import AsJson, Choice, Code, DryRun, Ids, Service, Sha256, Since, Until, Yes
from ops.cli.client import connect

_WHAT = "erased"


def erase(
    ids: Ids = None,
    status: Annotated[list[str] | None, typer.Option(help="With this status; may repeat.")] = None,
    service: Service = None,
    reason: Code = None,
    sha256: Sha256 = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete the bytes of scans, at any status and for good. Safe to repeat.

    Exit code 0: done; 1: not confirmed, or there is none; 2: not all could be.
    """
    filters = {"status": status, "service": service, "reason": reason, "sha256": sha256}
    choice = Choice.of(ids, since=since, until=until, **filters)
    with connect() as lazaretto:
        chosen = choice.ids or found.ids(lazaretto, choice)
        tally = bulk.Tally(len(chosen), dry_run)
        if chosen and not dry_run:
            if not choice.ids:
                bulk.confirm(len(chosen), "erased for good", yes=yes)
            bulk.one_by_one(tally, _WHAT, chosen, lazaretto.erase)
    bulk.finish(tally, _WHAT, as_json=as_json)
