"""`lazaretto scans retry`: held files are examined once more."""

from __future__ import annotations

from typing import Annotated

import typer

from lazaretto_client import Lazaretto
from ops.cli import bulk
from ops.cli.bulk import Tally
from ops.cli.choice import AsJson, Choice, Code, DryRun, Ids, Service, Sha256, Since, Until, Yes
from ops.cli.client import connect

_WHAT = "back in line"
_TOGETHER = 500  # scans of one request: between two of them there is progress to be seen


def retry(
    ids: Ids = None,
    status: Annotated[list[str] | None, typer.Option(help="failed (the default), unscannable; may repeat.")] = None,
    service: Service = None,
    reason: Code = None,
    sha256: Sha256 = None,
    since: Since = None,
    until: Until = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have files examined once more that are held: named ones before anything else, others behind all uploads.

    Safe to repeat, also after an interruption: what is back in line is not put back again.
    Exit code 0: done; 1: not confirmed, or there is none; 2: not all could be.
    """
    filters = {"status": status, "service": service, "reason": reason, "sha256": sha256}
    choice = Choice.of(ids, since=since, until=until, **filters)
    with connect() as lazaretto:
        if choice.ids:
            tally = Tally(len(choice.ids), dry_run)
            if not dry_run:
                bulk.one_by_one(tally, _WHAT, choice.ids, lazaretto.retry)
        else:
            tally = _all(lazaretto, choice, dry_run=dry_run, yes=yes)
    bulk.finish(tally, _WHAT, as_json=as_json)


def _all(lazaretto: Lazaretto, choice: Choice, *, dry_run: bool, yes: bool) -> Tally:
    """What has ended by now, and nothing that fails again meanwhile."""
    counted = lazaretto.retry_all(**choice.filters, dry_run=True)
    tally = Tally(counted.count + counted.remaining, dry_run)
    if dry_run or not tally.matched:
        return tally
    bulk.confirm(tally.matched, "examined once more", yes=yes)
    with bulk.progress(tally, _WHAT) as done:
        while True:
            answer = lazaretto.retry_all(**choice.filters, ended_before=counted.ended_before, limit=_TOGETHER)
            done(answer.count)
            if not answer.count or not answer.remaining:
                return tally
