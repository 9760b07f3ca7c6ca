"""Direct uploads over HTTP: a form, the file, and the word that it is there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kept import SQLiteTemplate
from tests.server import Server
from tests.system import System

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # the use case is tried on both

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
WANTED = {"filename": "report.pdf", "content_type": "application/pdf", "size": len(PDF), "metadata": {"order": "é"}}


@pytest.fixture
def database_url(sqlite_template: SQLiteTemplate, tmp_path: Path) -> str:
    """Both kinds are under test where the use case is."""
    return sqlite_template.copied(tmp_path / "lazaretto.db")


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def test_from_the_form_to_the_promoted_bytes(system: System, client: httpx.Client) -> None:
    answer = client.post("/v1/uploads/presigned", json=WANTED)
    assert answer.status_code == 201, answer.text
    promise = answer.json()
    scan_id = promise["scan"]["id"]
    assert promise["key"] == f"incoming/default/{scan_id}"
    assert (promise["scan"]["status"], promise["scan"]["size"], promise["scan"]["metadata"]) == (
        "receiving",
        None,
        {"order": "é"},
    )
    early = client.post("/v1/scans", json={"key": promise["key"]})
    assert (early.status_code, early.json()["code"], early.json()["retryable"]) == (409, "not_uploaded_yet", True)
    sent = httpx.post(promise["url"], data=promise["fields"], files={"file": ("x", PDF)})
    assert sent.is_success, sent.text
    for _ in range(2):
        answer = client.post("/v1/scans", json={"key": promise["key"]})
        assert (answer.status_code, answer.json()["id"]) == (202, scan_id)
    assert system.deliver() == 1
    scan = client.get(f"/v1/scans/{scan_id}").json()
    assert (scan["status"], scan["size"], scan["filename"]) == ("clean", len(PDF), "report.pdf")
    assert httpx.get(client.get(f"/v1/scans/{scan_id}/content").headers["location"]).content == PDF
    assert system.quarantined() == []


def test_another_service_learns_nothing(system: System, server: Server, client: httpx.Client) -> None:
    promise = client.post("/v1/uploads/presigned", json=WANTED).json()
    httpx.post(promise["url"], data=promise["fields"], files={"file": ("x", PDF)})
    with server.client(system.key_of("other")) as other:
        theirs = other.post("/v1/scans", json={"key": promise["key"]})
        nothing = other.post("/v1/scans", json={"key": "incoming/other/nothing"})
    assert theirs.status_code == nothing.status_code == 404
    volatile = {"request_id": None}
    assert theirs.json() | volatile == nothing.json() | volatile


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"size": 0}, 422),
        ({"size": "77"}, 422),
        ({"size": 2**60}, 413),
        ({"content_type": "pdf"}, 422),
        ({"content_type": "text/plain\r\nx: y"}, 422),
        ({"content_type": "text/plain\n"}, 422),
        ({"metadata": []}, 422),
        ({"metadata": {"a": "\x00"}}, 422),
        ({"metadata": {"a": "x" * 20_000}}, 422),
        ({"more": 1}, 422),
    ],
)
def test_what_cannot_be_promised_is_a_problem(
    system: System, client: httpx.Client, changes: dict[str, Any], status: int
) -> None:
    answer = client.post("/v1/uploads/presigned", json=WANTED | changes)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert system.all() == []


def test_a_quota_counts_what_is_sent_directly(system: System) -> None:
    limits = f"\n[services.direct.limits]\nbytes_per_day = {len(PDF)}\n"
    with Server(system.with_policy(limits)) as server, server.client(system.key_of("direct")) as client:
        answers = [client.post("/v1/uploads/presigned", json=WANTED).status_code for _ in range(2)]
        system.objects.put(system.settings.quarantine_bucket, "incoming/direct/a", PDF)
        answers.append(client.post("/v1/scans", json={"key": "incoming/direct/a"}).status_code)
    assert answers == [201, 429, 429]


def test_a_small_promise_is_no_way_around_the_quota(system: System) -> None:
    """No form takes more than was promised, but whoever has credentials of the store may write there as well."""
    limits = f"\n[services.direct.limits]\nbytes_per_day = {len(PDF) + 9}\n"
    with Server(system.with_policy(limits)) as server, server.client(system.key_of("direct")) as client:
        promises = [client.post("/v1/uploads/presigned", json=WANTED | {"size": size}).json() for size in (1, 1)]
        for promise in promises:
            system.objects.put(system.settings.quarantine_bucket, promise["key"], PDF)
        answers = [client.post("/v1/scans", json={"key": promise["key"]}) for promise in promises]
        again = client.post("/v1/scans", json={"key": promises[0]["key"]})
    assert [answer.status_code for answer in (*answers, again)] == [202, 429, 202]
    assert answers[1].json()["code"] == "quota_exceeded"


@pytest.mark.parametrize("path", ["/v1/uploads/presigned", "/v1/scans"])
def test_bodies_that_are_no_json_or_too_large_are_answered_as_documented(client: httpx.Client, path: str) -> None:
    described = client.get("/openapi.json").json()["paths"][path]["post"]["responses"]
    answers = [
        client.post(path, content=b"{}", headers={"Content-Type": "text/plain"}),
        client.post(path, content=b" " * 300_000, headers={"Content-Type": "application/json"}),
    ]
    assert [answer.status_code for answer in answers] == [415, 413]
    assert {"415", "413"} <= set(described)


def test_a_store_that_hangs_keeps_nobody_waiting_who_only_reads(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = system.settings.model_copy(update={"s3_timeout": 2, "connect_timeout": 1})
    with socket.create_server(("127.0.0.1", 0), backlog=256) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with Server(settings) as server, server.client() as client, ThreadPoolExecutor(60) as pool:
            asked = [pool.submit(client.post, "/v1/scans", json={"key": "incoming/default/a"}) for _ in range(60)]
            time.sleep(1)
            begun = time.monotonic()
            assert client.get("/v1/scans").status_code == 200
            assert time.monotonic() - begun < 1.5
            assert not any(each.done() for each in asked)
        assert {each.result().status_code for each in asked} == {503}
