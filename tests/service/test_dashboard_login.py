"""Who is logged in to the dashboard, for how long, and what others can make their browser do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from itsdangerous import Signer

from api.app import create_app
from api.dashboard.session import COOKIE, COOKIE_BY_TLS
from tests.calendar import Calendar
from tests.operator import browser, logged_in, token
from tests.server import Server
from tests.system import KEY, System
from worker import api_keys, sessions
from worker.services import Scope
from worker.settings import Environment

UNKNOWN = "01900000-0000-7000-8000-000000000000"
BY_TLS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def server(lasting: System) -> Iterator[Server]:
    with Server(lasting.settings) as running:
        yield running


def _is_logged_out(answer: httpx.Response) -> bool:
    return answer.status_code == 303 and answer.headers["Location"].startswith("/login?next=")


def _pages(system: System) -> list[tuple[str, str]]:
    """Everything on the dashboard, by method and path, as the application itself lists it."""
    routes = [each.original_route for each in iter_route_contexts(create_app(system.settings).routes)]
    pages = [each for each in routes if isinstance(each, APIRoute) and each.endpoint.__module__.startswith("api.dash")]
    assert {"/", "/login", "/logout", "/health"} <= {each.path for each in pages}
    return [(method, each.path.replace("{scan_id}", UNKNOWN)) for each in pages for method in each.methods or ()]


def _forms(system: System) -> list[tuple[str, str]]:
    """What changes something."""
    return [each for each in _pages(system) if each[0] not in ("GET", "HEAD")]


def test_a_login_leads_where_somebody_wanted_to_go(server: Server) -> None:
    with browser(server) as client:
        answer = client.get("/?window=7d&service=default")
        assert answer.headers["Location"] == "/login?next=%2F%3Fwindow%3D7d%26service%3Ddefault"
        assert 'value="/?window=7d&amp;service=default"' in client.get(answer.headers["Location"]).text
        answer = client.post("/login", data={"key": f" {KEY}\n", "next": "/?window=7d&service=default"})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/?window=7d&service=default")
        assert client.get("/").status_code == 200


ELSEWHERE = (
    "//evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/\x00",
    "",
    "scans",
)


def test_a_login_leads_to_no_other_site(server: Server) -> None:
    with browser(server) as client:
        for address in ELSEWHERE:
            page = client.get("/login", params={"next": address}).text
            assert 'name="next" value="/">' in page, address
            answer = client.post("/login", data={"key": KEY, "next": address})
            assert (answer.status_code, answer.headers["Location"]) == (303, "/"), address


def test_a_wrong_key_is_not_repeated(server: Server) -> None:
    with browser(server) as client:
        for key in ("wrong-key", "x" * 100_000, "\N{SNOWMAN}"):
            answer = client.post("/login", data={"key": key})
            assert (answer.status_code, client.cookies.get(COOKIE)) == (401, None)
            assert key not in answer.text
            assert "a key with the scope operate" in answer.text


def test_a_form_in_an_odd_encoding_is_no_fault_of_ours(server: Server) -> None:
    """`charset` may have starlette make text that no UTF-8 holds: https://docs.python.org/3/library/codecs.html."""
    with browser(server) as stranger:
        assert stranger.post("/login", **_halves("key")).status_code == 401
    with logged_in(server) as client:
        assert client.post("/logout", **_halves("csrf")).status_code == 403
        header = {"X-CSRF-Token": token(client)}
        assert client.post("/scans/retry", **_halves("name", header)).status_code == 422


def _halves(field: str, headers: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """A form with half of a surrogate pair."""
    codec = "raw_unicode_escape"
    parts = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"_charset_": codec, field: "\\ud800"}.items()
    )
    return {
        "content": f"{parts}--B--\r\n".encode(),
        "headers": {"Content-Type": f"multipart/form-data; boundary=B; charset={codec}", **headers},
    }


def test_a_key_that_may_not_operate_is_no_way_in(lasting: System, server: Server) -> None:
    with browser(server) as client:
        assert client.post("/login", data={"key": lasting.key_of("avatars")}).status_code == 401


STRANGERS: tuple[dict[str, str], ...] = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # a neighbouring host
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[::1"},  # which no browser sends
)
FRIENDS: tuple[dict[str, str], ...] = (
    {},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://behind-a-proxy.example"},
)


def test_nobody_is_logged_in_by_another_site(server: Server) -> None:
    with browser(server) as client:
        for says in (*STRANGERS, *FRIENDS):
            answer = client.post("/login", data={"key": KEY}, headers=says)
            welcome = says in FRIENDS
            assert (answer.status_code, "set-cookie" in answer.headers) == (303 if welcome else 403, welcome), says


def test_a_login_begins_a_new_session_and_ends_the_one_that_was_foisted(lasting: System, server: Server) -> None:
    attacker = api_keys.create(lasting.database, "default", [Scope.OPERATE], None)
    with logged_in(server, attacker.key) as theirs, browser(server) as victim:
        victim.cookies.set(COOKIE, theirs.cookies[COOKIE], domain="127.0.0.1")
        assert attacker.prefix in victim.get("/").text
        answer = victim.post("/login", data={"key": KEY})
        assert answer.headers["Set-Cookie"].split(";")[0] != f"{COOKIE}={theirs.cookies[COOKIE]}"
        assert _is_logged_out(theirs.get("/"))


NOBODY = (
    b"",
    b"x",
    b".",
    b"a.b",
    b"." * 1000,
    b"x" * 30_000,
    b"\xff\xfe.\xe9",
    b'"a;b"',
    b"__proto__.x",
    Signer("another secret", salt="lazaretto dashboard cookie").sign(b"session"),
)


def test_a_cookie_that_is_none_of_ours_is_nobody(server: Server) -> None:
    with browser(server) as client:
        for cookie in NOBODY:
            answer = client.get("/", headers={b"Cookie": COOKIE.encode() + b"=" + cookie})
            assert _is_logged_out(answer), cookie


def test_a_session_ends_with_its_key(lasting: System, server: Server) -> None:
    key = api_keys.create(lasting.database, "default", [Scope.OPERATE], None)
    with logged_in(server, key.key) as client:
        form = {"csrf": token(client)}
        api_keys.revoke(lasting.database, key.prefix)
        assert _is_logged_out(client.get("/"))
        assert _is_logged_out(client.post("/logout", data=form))
        refreshing = client.get("/", headers={"HX-Request": "true"})
        assert (refreshing.status_code, refreshing.headers["HX-Refresh"]) == (204, "true")


def test_a_session_ends_when_it_is_over_and_the_sweeper_forgets_it(
    lasting: System, server: Server, calendar: Calendar
) -> None:
    with logged_in(server) as client:
        lasting.sweep()
        assert client.get("/").status_code == 200
        calendar.pass_time(sessions.LIFETIME.total_seconds() + 1)
        assert _is_logged_out(client.get("/"))
        assert lasting.sweep().sessions_over >= 1  # and those of other tests
        assert lasting.sweep().sessions_over == 0


def test_every_process_knows_who_is_logged_in(lasting: System, server: Server) -> None:
    with logged_in(server) as client, Server(lasting.settings) as another:
        cookie = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
        assert httpx.get(f"http://127.0.0.1:{another.port}/", headers=cookie).status_code == 200


def test_the_cookie_goes_by_tls_alone_where_there_is_tls(server: Server) -> None:
    with browser(server) as client:
        plain = client.post("/login", data={"key": KEY}).headers["Set-Cookie"]
        safe = client.post("/login", data={"key": KEY}, headers=BY_TLS).headers["Set-Cookie"]
        assert plain.startswith(f"{COOKIE}=")
        assert safe.startswith(f"{COOKIE_BY_TLS}=")
        for cookie in (plain, safe):
            assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.lower().split("; "))
            assert "domain" not in cookie.lower()  # which the prefix forbids, and no neighbour needs
        assert ("Secure" in plain, "Secure" in safe) == (False, True)
        held = safe.split(";")[0]
        assert client.get("/", headers={"Cookie": held, **BY_TLS}).status_code == 200
        assert _is_logged_out(client.get("/", headers={"Cookie": held.removeprefix("__Host-"), **BY_TLS}))


def test_in_production_the_cookie_goes_by_tls_whatever_the_proxy_says(lasting: System) -> None:
    settings = lasting.settings.model_copy(update={"env": Environment.PRODUCTION})
    with Server(settings) as server, browser(server) as client:
        answer = client.post("/login", data={"key": KEY})
        assert answer.headers["Set-Cookie"].startswith(f"{COOKIE_BY_TLS}=")
        assert "Secure" in answer.headers["Set-Cookie"]
        assert "X-Forwarded-Proto" in client.get("/login").text
        assert "X-Forwarded-Proto" not in client.get("/login", headers=BY_TLS).text


def test_no_form_works_without_the_token_of_its_session(lasting: System, server: Server) -> None:
    forms = [each for each in _forms(lasting) if each != ("POST", "/login")]
    assert ("POST", "/logout") in forms
    with logged_in(server) as client, logged_in(server) as another:
        foreign = token(another)
        old = token(client)
        client.post("/logout", data={"csrf": old})
        client.post("/login", data={"key": KEY})
        for method, address in forms:
            for wrong in (None, "", foreign, old, client.cookies[COOKIE], "x" * 10_000, "\N{SNOWMAN}"):
                answer = client.request(method, address, data={} if wrong is None else {"csrf": wrong})
                assert answer.status_code == 403, (address, wrong)
            upload = client.request(method, address, files={"csrf": ("a", b"b")})
            assert upload.status_code == 403, address
            header = client.request(method, address, headers={"X-CSRF-Token": foreign})
            assert header.status_code == 403, address
            elsewhere = {"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": token(client)}
            assert client.request(method, address, headers=elsewhere).status_code == 403, address
        assert client.get("/").status_code == another.get("/").status_code == 200


def test_no_form_works_for_nobody(lasting: System, server: Server) -> None:
    with browser(server) as client:
        for method, path in _forms(lasting):
            answer = client.request(method, path)
            assert answer.status_code == 401 if path == "/login" else _is_logged_out(answer), path


def test_no_page_is_for_nobody(lasting: System, server: Server) -> None:
    pages = {path for method, path in _pages(lasting) if method == "GET"}
    with browser(server) as client:
        for path in pages - {"/login"}:
            assert _is_logged_out(client.get(path)), path


def test_a_logout_ends_the_session_for_whoever_copied_it(server: Server) -> None:
    with logged_in(server) as client:
        copied = client.cookies[COOKIE]
        answer = client.post("/logout", headers={"X-CSRF-Token": token(client)})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert client.cookies.get(COOKIE) is None
        assert _is_logged_out(client.get("/", headers={"Cookie": f"{COOKIE}={copied}"}))
