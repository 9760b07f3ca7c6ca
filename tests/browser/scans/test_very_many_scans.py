"""More held files than one request puts back."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from playwright.sync_api import Page, expect

from api.dashboard.bulk import AT_ONCE
from tests.browser.conftest import picture
from tests.browser.scans.senders import Sender
from tests.stack import Stack
from worker import clock
from worker.scan import Cause, Mover, Status
from worker.store import scans, services
from worker.store.database import Database


def test_more_than_one_request_can_take_goes_on_by_itself(operator: Page, stack: Stack, sender: Sender) -> None:
    number = AT_ONCE + 1
    ids = _failed_by_an_outage(stack, sender.failed("one of very many.txt"), number)
    operator.goto("/scans?service=crowd")
    operator.get_by_role("link", name="Retry all that failed…").click()
    expect(operator.get_by_role("heading", name=f"Retry {number:,} files?")).to_be_visible()
    operator.get_by_role("button", name="Retry them").click()
    expect(operator.get_by_role("heading", name="Putting back…")).to_be_visible()
    picture(operator, "retry-progress")
    expect(operator.get_by_role("heading", name=f"{number:,} files are back in line")).to_be_visible(timeout=30_000)
    with closing(Database(stack.env["LAZARETTO_DATABASE_URL"])) as database, database.read() as connection:
        assert {scan.decision for scan in scans.page(connection, scans.Filter(service="crowd"), limit=2000)} == {2}
    assert len(ids) == number


def _failed_by_an_outage(stack: Stack, like: str, number: int) -> list[str]:
    """Put scans on record that failed as this one did: to upload so many takes minutes. None has bytes of its own."""
    with closing(Database(stack.env["LAZARETTO_DATABASE_URL"])) as database, database.write() as connection:
        model = scans.get(connection, like)
        assert model is not None
        services.add(connection, "crowd")
        ids = [clock.new_id() for _ in range(number)]
        for scan_id in ids:
            new = replace(
                model,
                id=scan_id,
                service="crowd",
                status=Status.SCANNING,
                quarantine_key=f"sealed/{scan_id}",
                finished_at=None,
            )
            scans.add(connection, new, Cause(Mover.SERVICE, "upload begun"))
            scans.move(connection, scan_id, Status.SCANNING, Status.FAILED, Cause(Mover.WORKER, "gave up"))
    return ids
