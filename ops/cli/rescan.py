"""`lazaretto scans rescan`: look at promoted files once more, since the signatures have changed."""

from __future__ import annotations

from typing import Annotated

import typer

from lazaretto_client import Lazaretto
from ops.cli import bulk
from ops.cli.bulk import Tally
from ops.cli.choice import AsJson, Choice, DryRun, Ids, Service, Since, Until, Yes, ago
from ops.cli.client import connect
from ops.cli.periods import seconds

Older = Annotated[
    float | None,
    typer.Option(
        "--signatures-older-than",
        parser=seconds,
        metavar="PERIOD",
        help="Last seen by signatures that are older, or of unknown age: 7d.",
    ),
]

_WHAT = "in line to be looked at once more"


def rescan(
    ids: Ids = None,
    older: Older = None,
    service: Service = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have promoted files looked at once more, behind all uploads. Where malware is found the file is recalled.

    Safe to repeat, also after an interruption: what is in line is not asked for again.
    Exit code 0: done; 1: not confirmed, or there is none; 2: not all could be.
    """
    choice = Choice.of(ids, since=since, until=until, service=service, **ago(signatures_older_than=older))
    with connect() as lazaretto:
        if choice.ids:
            tally = Tally(len(choice.ids), dry_run)
            if not dry_run:
                bulk.one_by_one(tally, _WHAT, choice.ids, lazaretto.rescan)
        else:
            tally = _all(lazaretto, choice, dry_run=dry_run, yes=yes)
    bulk.finish(tally, _WHAT, as_json=as_json)


def _all(lazaretto: Lazaretto, choice: Choice, *, dry_run: bool, yes: bool) -> Tally:
    tally = Tally(sum(step.count for step in lazaretto.rescan_all(**choice.filters, dry_run=True)), dry_run)
    if dry_run or not tally.matched:
        return tally
    bulk.confirm(tally.matched, "looked at once more", yes=yes)
    with bulk.progress(tally, _WHAT) as done:
        for step in lazaretto.rescan_all(**choice.filters):
            done(step.count)
    return tally
