"""The dashboard's pages of scans, on both databases: what they show, what forms do, and what neither lets through."""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import asdict, replace

import httpx
import pytest

from api.dashboard import bulk
from tests import images
from tests.operator import logged_in, token
from tests.server import Server
from tests.service.test_operations import PDF, failed
from tests.system import System
from worker.canaries import encrypted_zip
from worker.scan import Promoted, Scan, Status
from worker.store import scans

ONE_KIND = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # no query of its own
PHOTO = images.encode(images.photo(), "JPEG")


@pytest.fixture
def client(system: System) -> Iterator[httpx.Client]:
    """An operator who has logged in."""
    with Server(system.settings) as server, logged_in(server) as client:
        yield client


def _form(client: httpx.Client, scan: Scan, **fields: str) -> dict[str, str]:
    return {"csrf": token(client), "decision": str(scan.decision), **fields}


def _photo(system: System) -> tuple[Scan, Promoted]:
    scan = system.work(system.upload(PHOTO, "photo.jpg").id)
    assert scan.promoted
    return scan, scan.promoted


def test_a_list_leads_to_older_ones_and_to_each(system: System, client: httpx.Client) -> None:
    assert "No file has been uploaded yet." in client.get("/scans").text
    ids = [system.upload(b"x", f"{number}.txt").id for number in range(52)]
    first = client.get("/scans").text
    found = re.findall(r'href="/scans/([0-9a-f-]{36})"', first)
    older = re.search(r'id="older" rel="next" href="([^"]+)"', first)
    assert older
    found += re.findall(r'href="/scans/([0-9a-f-]{36})"', client.get(html.unescape(older[1])).text)
    assert found == sorted(ids, reverse=True)
    assert client.get(f"/scans/{found[-1]}").status_code == 200


@ONE_KIND
def test_a_picture_is_the_promoted_object_and_no_other(system: System, client: httpx.Client) -> None:
    scan, made = _photo(system)
    address = f"/scans/{scan.id}/picture"
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert hashlib.sha256(answer.content).hexdigest() == made.sha256
    assert answer.headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]
    assert answer.headers["content-disposition"] == "inline"

    system.objects.put(made.bucket, made.key, b"<script>alert(1)</script>")
    assert client.get(address).status_code == 404
    system.objects.delete(made.bucket, made.key)
    assert client.get(address).status_code == 404

    kept = asdict(replace(made, sha256=scan.sha256 or "", pixels=None))
    with system.database.write() as connection:
        scans.amend(connection, scan.id, promoted=kept)
    assert client.get(address).status_code == 404
    assert "The very bytes that were uploaded." in client.get(f"/scans/{scan.id}").text


@ONE_KIND
def test_a_form_does_what_it_says_once_and_leads_back(system: System, client: httpx.Client) -> None:
    scan = failed(system, system.upload(PDF, "report.pdf"))
    form = _form(client, scan)
    answer = client.post(f"/scans/{scan.id}/retry", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/scans/{scan.id}")
    for action in ("retry", "rescan", "erase"):  # the page that this form is of shows an earlier decision
        answer = client.post(f"/scans/{scan.id}/{action}", data=form)
        assert (answer.status_code, "Nothing was done." in answer.text) == (409, True), action
    assert system.work(scan.id).status is Status.CLEAN
    assert client.post(f"/scans/{scan.id}/erase", data=_form(client, system.scan(scan.id))).status_code == 303
    assert system.scan(scan.id).status is Status.ERASED


@ONE_KIND
def test_what_cannot_be_done_is_told_and_changes_nothing(system: System, client: httpx.Client) -> None:
    queued, held = system.upload(PDF, "report.pdf"), system.upload(encrypted_zip(), "held.zip")
    held = system.work(held.id)
    for action in ("retry", "release", "rescan"):
        answer = client.post(f"/scans/{queued.id}/{action}", data=_form(client, queued, reason="because"))
        assert (answer.status_code, "The scan is queued." in answer.text) == (409, True), action
    for reason in ("", "  \n ", "x" * 1001, "in\u202evisible"):
        answer = client.post(f"/scans/{held.id}/release", data=_form(client, held, reason=reason))
        assert (answer.status_code, "A release needs a reason" in answer.text) == (422, True), reason
    assert [system.scan(each.id) for each in (queued, held)] == [queued, held]


def test_many_are_put_back_in_turns_and_each_once(
    system: System, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "AT_ONCE", 2)
    ids = {failed(system, system.upload(PDF, f"report {number}.pdf")).id for number in range(3)}
    other = failed(system, system.upload(PDF, "other.pdf"))
    page, told = client.get("/scans/retry?status=failed&name=report").text, []
    while form := dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.split('id="run"')[1])):
        page = client.post("/scans/retry", data=form).text
        told += re.findall(r'<label for="progress">([^<]+)</label>', page)
    assert told == ["2 of 3, 1 left", "3 of 3"]
    assert {scan_id for scan_id in ids if system.scan(scan_id).decision == 2} == ids
    assert system.scan(other.id).decision == 1


@ONE_KIND
def test_where_no_status_is_asked_for_what_failed_is_meant(system: System, client: httpx.Client) -> None:
    """As in the API and on the command line."""
    lost, held = failed(system, system.upload(PDF, "lost.pdf")), system.outcome(encrypted_zip(), "held.zip")
    assert "Retry 1 file?" in client.get("/scans/retry").text
    assert "Retry 1 file?" in client.get("/scans/retry?status=unscannable").text
    assert "Retry 2 files?" in client.get(f"/scans/retry?id={lost.id}&id={held.id}").text
    answer = client.get("/scans").text
    assert ("Retry all that failed…" in answer, "Retry all that match…" in answer) == (True, False)
    assert "Retry all that match…" in client.get("/scans?status=unscannable").text


@ONE_KIND
def test_a_slip_in_a_filter_puts_nothing_back(system: System, client: httpx.Client) -> None:
    scan = failed(system, system.upload(PDF, "report.pdf"))
    form = {"csrf": token(client), "begun": "2100-01-01T00:00:00Z", "total": "1", "done": "0"}
    slips = {"q": "report", "statuss": "failed", "status": "fine", "since": "yesterday", "begun": "now", "total": "-1"}
    for name, value in slips.items():
        assert client.post("/scans/retry", data=form | {name: value}).status_code == 422, name
    assert client.get("/scans/retry?statuss=failed").status_code == 422
    assert "Nothing is ticked." in client.get("/scans/retry?ticked=").text
    assert client.get(f"/scans/retry?id={scan.id}&ticked=").status_code == 200
    assert system.scan(scan.id) == scan


@ONE_KIND
def test_who_is_nobody_sees_and_does_nothing(system: System, client: httpx.Client) -> None:
    scan, _ = _photo(system)
    form = _form(client, scan)
    client.cookies.clear()
    for path in ("/scans", "/scans/retry", f"/scans/{scan.id}", f"/scans/{scan.id}/picture", f"/scans/{scan.id}/erase"):
        assert client.get(path).headers["location"].startswith("/login?next="), path
    for action in ("retry", "rescan", "release", "erase"):
        assert client.post(f"/scans/{scan.id}/{action}", data=form).headers["location"].startswith("/login"), action
    assert system.scan(scan.id) == scan
