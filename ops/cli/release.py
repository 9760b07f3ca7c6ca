"""`lazaretto scans release`: files that could not be proven clean are promoted, for a reason."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.cli import bulk, found
from ops.cli.choice import AsJson, Choice, DryRun, Ids, Service, Sha256, Since, Until, Yes
from ops.cli.client import connect

_WHAT = "released"


def release(
    reason: Annotated[str, typer.Option(help="Why they may pass, in your own words; on record for good.")],
    ids: Ids = None,
    code: Annotated[str | None, typer.Option(help="Held with this code: encrypted.")] = None,
    service: Service = None,
    sha256: Sha256 = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Promote files that are unscannable, as they were uploaded. Nobody has proven that they are clean.

    Exit code 0: done; 1: not confirmed, or there is none; 2: not all could be.
    """
    choice = Choice.of(ids, reason=code, service=service, sha256=sha256, since=since, until=until)
    with connect() as lazaretto:
        chosen = choice.ids or found.ids(lazaretto, choice, status="unscannable")
        tally = bulk.Tally(len(chosen), dry_run)
        if chosen and not dry_run:
            if not choice.ids:
                bulk.confirm(len(chosen), "released, though they may be harmful", yes=yes)
            bulk.one_by_one(tally, _WHAT, chosen, lambda scan_id: lazaretto.release(scan_id, reason))
    bulk.finish(tally, _WHAT, as_json=as_json)
