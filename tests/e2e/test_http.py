"""The whole stack as its users see it: HTTP in, outcome out."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
import httpx
import pytest

from tests.stack import Stack
from worker.canaries import eicar

TEXT = b"Nothing to see here.\n"
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    limits = httpx.Limits(max_connections=32)
    with httpx.Client(base_url=stack.base_url, headers=headers, timeout=120, limits=limits) as client:
        yield client


@pytest.fixture(scope="module")
def objects(stack: Stack) -> Callable[[str], list[str]]:
    """The keys in a bucket of the stack."""
    session = boto3.session.Session(
        aws_access_key_id=stack.env["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.env["AWS_SECRET_ACCESS_KEY"],
        region_name=stack.env["AWS_REGION"],
    )
    client = session.client("s3", endpoint_url=stack.env["AWS_ENDPOINT_URL_S3"])

    def keys(bucket: str) -> list[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    return keys


def _put(http: httpx.Client, name: str, data: bytes, **options: Any) -> dict[str, Any]:
    answer = http.put(f"/v1/uploads/{quote(name, safe='')}", content=data, **options)
    assert answer.status_code == 202, answer.text
    scan: dict[str, Any] = answer.json()
    return scan


def _ended(http: httpx.Client, scan_id: str) -> dict[str, Any]:
    scan: dict[str, Any] = http.get(f"/v1/scans/{scan_id}", params={"wait": PATIENCE}).json()
    assert scan["finished_at"], f"{scan} has not ended in {PATIENCE} s"
    return scan


def test_a_file_goes_all_the_way(http: httpx.Client) -> None:
    accepted = _put(http, "a.txt", TEXT)
    assert (accepted["status"], accepted["size"]) == ("queued", len(TEXT))
    ended = _ended(http, accepted["id"])
    assert (ended["status"], ended["detected_type"]) == ("clean", "text/plain")
    assert ended["scanner"]["development"] is True
    assert ended["steps"].keys() == {"fetch", "sniff", "scan", "inspect", "settle"}
    story = http.get(f"/v1/scans/{ended['id']}/events").json()["items"]
    assert [event["to"] for event in story] == ["receiving", "queued", "scanning", "settling", "clean"]
    assert [event["from"] for event in story] == [None, "receiving", "queued", "scanning", "settling"]
    assert {event["request_id"] for event in story} == {story[0]["request_id"]}


def test_content_is_found_through_a_short_lived_address(http: httpx.Client) -> None:
    ended = _ended(http, _put(http, "../Übung 1.txt", TEXT)["id"])
    answer = http.get(f"/v1/scans/{ended['id']}/content")
    assert answer.status_code == 307
    fetched = httpx.get(answer.headers["location"])
    assert fetched.content == TEXT
    assert fetched.headers["content-type"] == "text/plain"
    assert fetched.headers["content-disposition"] == "attachment; filename*=UTF-8''%C3%9Cbung%201.txt"


def test_a_form_goes_the_same_way(http: httpx.Client) -> None:
    files = {"file": ("a.csv", b"a,b\n1,2\n", "text/csv")}
    answer = http.post("/v1/uploads", files=files, data={"metadata": '{"order": 7}'})
    assert answer.status_code == 202
    ended = _ended(http, answer.json()["id"])
    assert (ended["status"], ended["detected_type"], ended["metadata"]) == ("clean", "text/csv", {"order": 7})


def test_the_deleted_and_the_undecided_give_no_content(http: httpx.Client) -> None:
    ended = _ended(http, _put(http, "a.com", eicar())["id"])
    assert (ended["status"], ended["promoted"]) == ("infected", None)
    gone = http.get(f"/v1/scans/{ended['id']}/content")
    assert (gone.status_code, gone.json()["code"], gone.json()["retryable"]) == (410, "deleted", False)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd.txt", "a\nb.txt", "a\0b.txt", "文件😀.txt", "x" * 4000 + ".txt", "", "<img src=x>.txt"]
)
def test_names_are_data(http: httpx.Client, name: str) -> None:
    scan = _put(http, name, TEXT)
    assert scan["filename"] == name.replace("\0", "\N{REPLACEMENT CHARACTER}")
    assert _ended(http, scan["id"])["status"] in {"clean", "rejected"}


def test_a_request_id_goes_all_the_way(http: httpx.Client) -> None:
    answer = http.put("/v1/uploads/a.txt", content=TEXT, headers={"X-Request-ID": "order-7"})
    assert answer.headers["x-request-id"] == "order-7"
    _ended(http, answer.json()["id"])
    story = http.get(f"/v1/scans/{answer.json()['id']}/events").json()["items"]
    assert {event["request_id"] for event in story} == {"order-7"}


@pytest.mark.parametrize("evil", ["", "x" * 200, "a b", 'a"b'])
def test_a_request_id_that_is_not_sensible_is_replaced(http: httpx.Client, evil: str) -> None:
    answer = http.get("/healthz", headers={"X-Request-ID": evil})
    assert answer.headers["x-request-id"] not in {"", evil}


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic abc", "Bearer"])
def test_without_a_valid_key_nothing_is_told(stack: Stack, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    for method, path in (("PUT", "/v1/uploads/a"), ("GET", "/v1/scans"), ("GET", "/v1/scans/x")):
        answer = httpx.request(method, stack.base_url + path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/scans", 405, "method_not_allowed"),
        ("GET", "/v1/scans/nobody", 404, "scan_not_found"),
        ("GET", "/v1/scans/nobody/events", 404, "scan_not_found"),
        ("GET", "/v1/scans/nobody/content", 404, "scan_not_found"),
        ("GET", "/v1/scans?limit=0", 422, "invalid_request"),
        ("GET", "/v1/scans?status=odd", 422, "invalid_request"),
        ("GET", "/v1/scans?since=2026-01-01T00:00:00", 422, "invalid_request"),
        ("GET", "/v1/scans?cursor=nonsense", 422, "invalid_request"),
        ("GET", "/v1/scans/nobody?wait=61", 422, "invalid_request"),
        ("POST", "/v1/uploads", 415, "unsupported_media_type"),
    ],
)
def test_every_refusal_is_a_problem(http: httpx.Client, method: str, path: str, status: int, code: str) -> None:
    answer = http.request(method, path)
    problem = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["code"], problem["retryable"]) == (status, code, False)
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]


def test_lists_are_filtered_and_their_cursor_is_stable(http: httpx.Client) -> None:
    begin = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    marked = [
        _ended(http, _put(http, f"list-{at}.txt", b"list" + os.urandom(4).hex().encode())["id"]) for at in range(5)
    ]
    ids = [scan["id"] for scan in reversed(marked)]
    query: dict[str, Any] = {"id": ids, "limit": 2}
    pages, cursor = [], None
    while True:
        page = http.get("/v1/scans", params=query | ({"cursor": cursor} if cursor else {})).json()
        pages.append([item["id"] for item in page["items"]])
        _put(http, "meanwhile.txt", TEXT)
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    found = http.get("/v1/scans", params={"sha256": marked[0]["sha256"], "since": begin, "status": "clean"}).json()
    assert [item["id"] for item in found["items"]] == [marked[0]["id"]]
    assert http.get("/v1/scans", params={"until": "2020-01-01T00:00:00Z"}).json() == {"items": [], "next_cursor": None}


def test_a_client_that_hangs_up_leaves_nothing(
    stack: Stack, http: httpx.Client, objects: Callable[[str], list[str]]
) -> None:
    with _half_open(stack, "PUT /v1/uploads/hang.txt", "Content-Length: 30000000") as link:
        link.sendall(b"x" * 20_000_000)
    deadline = time.monotonic() + PATIENCE
    while (scan := http.get("/v1/scans", params={"limit": 1}).json()["items"][0])["status"] == "receiving":
        assert time.monotonic() < deadline
    assert (scan["filename"], scan["status"]) == ("hang.txt", "expired")
    assert f"sealed/{scan['id']}" not in objects("quarantine")


def test_an_upload_that_announces_too_much_is_refused_before_a_byte_is_sent(stack: Stack, http: httpx.Client) -> None:
    with _half_open(stack, "PUT /v1/uploads/huge.txt", f"Content-Length: {3 * 2**30}") as link:
        answer = HTTPResponse(link, method="PUT")
        answer.begin()
        problem = json.loads(answer.read())
    assert answer.status == 413
    assert (problem["code"], problem["expected"]) == ("file_too_large", "a file of at most 2147483648 bytes")
    newest = http.get("/v1/scans", params={"limit": 1}).json()["items"][0]
    assert (newest["status"], newest["reasons"][0]["code"]) == ("rejected", "file_too_large")


@contextmanager
def _half_open(stack: Stack, request: str, *headers: str) -> Iterator[socket.socket]:
    """A connection that has sent its head and nothing more."""
    address = urlsplit(stack.base_url)
    lines = (f"{request} HTTP/1.1", "Host: x", f"Authorization: Bearer {stack.api_key}", *headers, "", "")
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=PATIENCE) as link:
        link.sendall("\r\n".join(lines).encode())
        yield link


@pytest.mark.parametrize("way", ["body", "form"])
def test_a_large_file_is_promoted_byte_by_byte_and_no_process_grows(
    stack: Stack, http: httpx.Client, tmp_path: Path, way: str
) -> None:
    """300 MiB: parts at intake, scratch on disk, a copy in parts."""
    path = tmp_path / "large.mp4"
    _write_video(path, 300)
    before = stack.memory()
    with path.open("rb") as file:
        if way == "body":
            answer = http.put("/v1/uploads/large.mp4", content=iter(lambda: file.read(65536), b""))
        else:
            answer = http.post("/v1/uploads", files={"file": ("large.mp4", file, "video/mp4")})
    assert answer.status_code == 202, answer.text
    ended = _ended(http, answer.json()["id"])
    assert ended["status"] == "clean", ended
    grown = {name: after - before.get(name, after) for name, after in stack.memory().items()}
    assert max(grown.values()) <= 64 * 2**20, grown
    with path.open("rb") as file:
        expected = hashlib.file_digest(file, "sha256").hexdigest()
    assert ended["sha256"] == ended["promoted"]["sha256"] == expected
    fetched = hashlib.sha256()
    with httpx.stream("GET", http.get(f"/v1/scans/{ended['id']}/content").headers["location"]) as stream:
        for chunk in stream.iter_bytes():
            fetched.update(chunk)
    assert fetched.hexdigest() == expected


def _write_video(path: Path, mebibytes: int) -> None:
    """An MP4 by its boxes, noise by its frames."""
    size = (16 + mebibytes * 2**20).to_bytes(8)
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41\0\0\0\x08moov\0\0\0\1mdat" + size)
        for _ in range(mebibytes):
            file.write(os.urandom(2**20))


def test_many_clients_at_once(http: httpx.Client, objects: Callable[[str], list[str]]) -> None:
    def through(at: int) -> str:
        scan = _put(http, f"many-{at}.txt", f"{at} {os.urandom(8).hex()}\n".encode() * 50)
        return str(_ended(http, scan["id"])["status"])

    with ThreadPoolExecutor(16) as pool:
        outcomes = Counter(pool.map(through, range(400)))
    assert outcomes == {"clean": 400}
    pending = http.get("/v1/scans", params={"status": ["queued", "scanning", "settling"]}).json()["items"]
    assert pending == []
    assert objects("quarantine") == []


TESTFILES = sorted(Path("/usr/share/clamav-testfiles").glob("clam*"))


def test_every_one_of_clamav_s_test_files_is_infected(http: httpx.Client, objects: Callable[[str], list[str]]) -> None:
    assert len(TESTFILES) == 44
    before = len(objects("clean"))
    with ThreadPoolExecutor(4) as pool:
        scans = list(pool.map(lambda path: _ended(http, _put(http, path.name, path.read_bytes())["id"]), TESTFILES))
    assert {scan["filename"]: scan["status"] for scan in scans} == {path.name: "infected" for path in TESTFILES}
    assert all("ClamAV-Test-File" in " ".join(scan["signatures"]) for scan in scans)
    assert (objects("quarantine"), len(objects("clean"))) == ([], before)


def test_readiness_names_what_it_looked_at(http: httpx.Client) -> None:
    ready = http.get("/readyz").json()
    assert ready["status"] == "ok"
    assert {name: check["status"] for name, check in ready["checks"].items()} == dict.fromkeys(
        ("database", "quarantine", "clean", "redis", "policy", "scanners", "room"), "ok"
    )
    assert "development signatures" in ready["checks"]["scanners"]["detail"]
