"""Every kind of answer: the headers by which browsers protect operators, and pages where something does not work."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import text

from api.dashboard import security
from tests.operator import browser, logged_in
from tests.server import Server
from tests.system import KEY, System
from worker import sessions

BEARER = {"Authorization": f"Bearer {KEY}", "Accept": "*/*"}
ANYTHING = {"Accept": "*/*"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'; form-action 'self'"
)


@pytest.fixture(scope="module")
def server(lasting: System) -> Iterator[Server]:
    with Server(lasting.settings) as running:
        yield running


def _explode(*_arguments: object) -> None:
    raise ValueError("secret-password")


def _is_protected(answer: httpx.Response, policy: str = POLICY) -> None:
    headers = answer.headers
    assert headers.get_list("Content-Security-Policy") == [policy]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


def test_every_kind_of_answer_is_protected(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with logged_in(server) as client:
        kinds = {
            "page": (client.get("/"), 200),
            "login": (client.get("/login"), 200),
            "wrong key": (client.post("/login"), 401),
            "forged form": (client.post("/logout"), 403),
            "no such page": (client.get("/nowhere"), 404),
            "static file": (client.get("/static/dashboard.css"), 200),
            "no static file": (client.get("/static/nothing.css"), 404),
            "no folder": (client.get("/static/"), 404),
            "traversal": (client.get("/static/%2e%2e/pages.py"), 404),
            "scans": (client.get("/v1/scans", headers=BEARER), 200),
            "problem": (client.get("/v1/scans"), 401),
            "wrong method": (client.put("/v1/scans", headers=BEARER), 405),
            "invalid": (client.get("/v1/scans?limit=lots", headers=BEARER), 422),
            "too large": (client.post("/v1/scans", headers=BEARER, content=b"x" * 300_000), 413),
            "head": (client.head("/login"), 200),
            "options": (client.options("/login"), 204),
            "document": (client.get("/openapi.json"), 200),
            "readiness": (client.get("/readyz"), 200),
        }
        client.cookies.clear()
        kinds["logged out"] = (client.get("/"), 303)
        monkeypatch.setattr(sessions, "begin", _explode)
        kinds["broken"] = (client.post("/login", data={"key": KEY}), 500)
    for kind, (answer, status) in kinds.items():
        assert answer.status_code == status, kind
        _is_protected(answer)
        assert "Strict-Transport-Security" not in answer.headers, kind


def test_what_is_refused_before_it_is_a_request_is_protected(server: Server) -> None:
    for sent in (b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(sent)
            received = b""
            while data := connection.recv(65536):
                received += data
        for name, value in security.headers("http").items():
            assert f"\r\n{name}: {value}\r\n".encode() in received


def test_by_tls_browsers_are_told_to_stay_there(server: Server) -> None:
    with browser(server) as client:
        by_tls = {"X-Forwarded-Proto": "https"}
        for path in ("/login", "/v1/scans", "/static/dashboard.css", "/nowhere"):
            assert client.get(path, headers=by_tls).headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_documentation_runs_one_script_of_its_own(server: Server) -> None:
    with browser(server) as client:
        answer = client.get("/docs")
        policy = answer.headers["Content-Security-Policy"]
        [digest] = re.findall(r"'sha256-[A-Za-z0-9+/]{43}='", policy)
        expected = POLICY.replace("script-src 'self'", f"script-src 'self' {digest}")
        _is_protected(answer, expected.replace("img-src 'self'", "img-src 'self' data:"))


def test_pages_are_kept_by_no_cache_and_files_for_good(server: Server) -> None:
    with logged_in(server) as client:
        page = client.get("/")
        for kept in (page, client.get("/login"), client.get("/nowhere")):
            assert kept.headers["Cache-Control"] == "no-store"
        addresses = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
        assert len(addresses) >= 3
        for address in addresses:
            answer = client.get(address)
            assert (answer.status_code, "immutable" in answer.headers["Cache-Control"]) == (200, True), address
        assert "Cache-Control" not in client.get("/static/dashboard.css").headers


def _is_page(answer: httpx.Response, status: int, *said: str) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["X-Request-ID"] in answer.text
    for each in said:
        assert each in answer.text


def test_people_are_told_on_a_page_and_programs_in_a_problem(server: Server) -> None:
    with logged_in(server) as client:
        _is_page(client.get("/<script>alert(1)"), 404, "Not found", "&lt;script&gt;alert(1)")
        _is_page(client.get("/?window=<b>", headers=ANYTHING), 422, "Not understood", "query window")
        _is_page(client.get("/logout", headers=ANYTHING), 405, "Not like this")
        _is_page(client.post("/login", data={"key": "x" * 300_000}), 413)
        broken = {"Content-Type": "multipart/form-data; boundary=x"}
        _is_page(client.post("/login", content=b"--y", headers=broken), 400)
        allowed = client.get("/logout").headers["Allow"]
        assert allowed == "POST, OPTIONS"
        for path in ("/v1/nowhere", "/v1/scans?limit=x"):
            assert client.get(path).headers["Content-Type"] == "application/problem+json"
        assert client.get("/nowhere", headers=ANYTHING).json()["code"] == "not_found"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # tests/contract has what both call an outage
def test_a_page_whose_database_is_away_says_so_and_offers_to_try_again(system: System) -> None:
    with Server(system.settings) as server, logged_in(server) as client:
        with system.database.write() as connection:
            connection.execute(text("DROP TABLE sessions"))
        answer = client.get("/?window=7d")
        _is_page(answer, 503, "Not available at the moment", "The database does not answer", 'href="/?window=7d"')
        assert answer.headers["Retry-After"] == "5"
        part = client.get("/", headers={"HX-Request": "true"})
        assert (part.status_code, part.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")
        assert part.text == "The database does not answer; trying again can help."


def test_a_page_that_breaks_tells_no_secrets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with logged_in(server) as client:
        monkeypatch.setattr(sessions, "caller", _explode)
        answer = client.get("/")
        _is_page(answer, 500, "This did not work", "Something went wrong on our side")
        assert "secret-password" not in answer.text
        part = client.get("/", headers={"HX-Request": "true"})
        assert (part.status_code, part.headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
