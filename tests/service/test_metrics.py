"""What Prometheus is told: of requests, of work, and of how things stand, whatever is away."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from tests import images
from tests import receiver as answers
from tests.calendar import Calendar
from tests.outcomes import Outcomes
from tests.receiver import Receiver
from tests.server import Server
from tests.system import System
from worker import clock, exposition
from worker.adapters.object_store import ObjectStore
from worker.adapters.task_queue import TaskQueue
from worker.errors import SandboxFailed
from worker.exposition import Machine
from worker.instruments import PREFIX, STANDING, instruments
from worker.lanes import Lane
from worker.operations import Order
from worker.policies import Policies
from worker.rescans import Rescans
from worker.sandbox import Kill, Sandbox
from worker.scan import Cause, Mover, Status
from worker.settings import Settings
from worker.standing import Standing
from worker.store import listing, outbox, scans, standing
from worker.store.database import Database

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # where it makes no difference


def _counted(name: str, **labels: str) -> float:
    """By this process, so far."""
    return instruments().registry.get_sample_value(f"{PREFIX}_{name}", labels) or 0.0


def _samples(text: str) -> Samples:
    return {
        (sample.name.removeprefix(f"{PREFIX}_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _stand(settings: Settings, database: Database, objects: ObjectStore) -> dict[str, float]:
    """How things stand, by name and labels."""
    with closing(TaskQueue(settings)) as queue, closing(Standing(database, objects, queue, settings)) as standing:
        text = exposition.page(standing, as_open=False).decode()
    return {
        " ".join((name, *(value for _, value in labels))): value for (name, labels), value in _samples(text).items()
    }


@ON_SQLITE
def test_requests_are_told_by_their_routes_and_never_by_their_paths(server: Server) -> None:
    route = {"route": "/v1/uploads/{filename}", "method": "PUT"}
    before = [_counted("http_requests_total", **route, status=status) for status in ("202", "401")]
    others = _counted("http_requests_total", route="other", method="GET", status="404")
    odd = _counted("http_requests_total", route="/v1/scans", method="other", status="405")
    with server.client() as client:
        sent = client.put("/v1/uploads/tax-return.pdf", content=b"hello").json()
        assert client.put("/v1/uploads/b.txt", content=b"hello", headers={"Authorization": ""}).status_code == 401
        for path in ("/nowhere/tax-return.pdf", "/v2/scans", "/v1/scans/x/y/z"):
            assert client.get(path).status_code == 404
        assert client.request("PROPFIND", "/v1/scans").status_code == 405
        assert client.head(f"/v1/scans/{sent['id']}").status_code == 200
        client.get(f"/v1/scans/{sent['id']}", params={"wait": "0.1"})
        page = client.get("/metrics", headers={"Authorization": ""})
    assert page.status_code == 200
    assert [_counted("http_requests_total", **route, status=status) for status in ("202", "401")] == [
        each + 1 for each in before
    ]
    assert _counted("http_requests_total", route="other", method="GET", status="404") == others + 3
    assert _counted("http_requests_total", route="/v1/scans", method="other", status="405") == odd + 1
    for hidden in ("tax-return", sent["id"], "nowhere", "PROPFIND"):
        assert hidden not in page.text
    told = _samples(page.text)
    for shown in ("/v1/scans/{scan_id}", "/v1/scans/{scan_id}?wait"):
        labels = frozenset({("route", shown), ("method", "GET"), ("status", "200")})
        assert told["http_requests_total", labels] >= 1


@ON_SQLITE
def test_a_request_that_breaks_is_an_error(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "page", lambda *_, **__: 1 / 0)
    labels = {"route": "/v1/scans", "method": "GET", "status": "500"}
    before = _counted("http_requests_total", **labels)
    with Server(system.settings) as running, running.client() as client:
        assert client.get("/v1/scans").status_code == 500
    assert _counted("http_requests_total", **labels) == before + 1


@ON_SQLITE
def test_the_time_in_which_a_client_sends_is_not_ours(server: Server) -> None:
    def slowly() -> Iterator[bytes]:
        yield b"hello"
        time.sleep(1)
        yield b"hello"

    labels = {"route": "/v1/uploads/{filename}", "method": "PUT"}
    before = _counted("http_request_seconds_sum", **labels)
    with server.client() as client:
        assert client.put("/v1/uploads/a.txt", content=slowly()).status_code == 202
    assert 0 < _counted("http_request_seconds_sum", **labels) - before < 0.8


def test_statements_are_counted_in_whichever_thread_they_are_sent(server: Server) -> None:
    labels = {"route": "/v1/scans/{scan_id}"}
    before = _counted("http_database_calls_sum", **labels)
    with server.client() as client:
        client.get(f"/v1/scans/{clock.new_id()}")
    asked = _counted("http_database_calls_sum", **labels) - before
    assert 2 <= asked <= 4, "the key, the scan, and at times that the key is used"


@ON_SQLITE
def test_uploads_are_counted_once_by_the_way_they_came(system: System, server: Server) -> None:
    def counted() -> list[float]:
        ways = [_counted("uploads_total", service="counting", way=way) for way in ("form", "raw", "direct")]
        return [*ways, _counted("upload_bytes_total", service="counting")]

    before = counted()
    key = system.key_of("counting")
    with server.client(key) as client:
        client.post("/v1/uploads", files={"file": ("a.txt", b"12345")})
        for _ in range(2):  # the second is the same upload
            client.put("/v1/uploads/a.txt", content=b"1234567", headers={"Idempotency-Key": "once"})
        assert client.post("/v1/uploads", files={"file": ("a.txt", b"12"), "b": b"3"}).status_code == 422
        place = f"incoming/counting/{clock.new_id()}"
        system.objects.put(system.settings.quarantine_bucket, place, b"123")
        for _ in range(2):
            assert client.post("/v1/scans", json={"key": place}).status_code == 202
    assert [after - first for after, first in zip(counted(), before, strict=True)] == [1, 1, 1, 15]


@ON_SQLITE
def test_the_page_is_in_the_format_that_is_asked_for(server: Server) -> None:
    plain = ["", "text/plain", "*/*", ", ;;q=x=,,=" * 500]
    opened = [
        "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;q=0.5",
        "APPLICATION/OPENMETRICS-TEXT",
        'application/openmetrics-text; escaping="\\"><script>',
    ]
    for accept in [*plain, *opened]:
        is_open = accept in opened
        page = httpx.get(f"http://127.0.0.1:{server.port}/metrics", headers={"Accept": accept})
        assert page.status_code == 200
        kind = "application/openmetrics-text; version=1.0.0" if is_open else "text/plain; version=0.0.4"
        assert page.headers["content-type"] == f"{kind}; charset=utf-8"
        parse = openmetrics.text_string_to_metric_families if is_open else text_string_to_metric_families
        families = {family.name for family in parse(page.text)}
        assert families >= {f"{PREFIX}_{name}" for name in STANDING}
        assert all(name.startswith(f"{PREFIX}_") for name in families)


@ON_SQLITE
def test_a_flood_of_scrapes_costs_no_more_than_one(server: Server) -> None:
    def scrape(_: int) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{server.port}/metrics")

    before = _counted("http_database_calls_count", route="/metrics")
    with ThreadPoolExecutor(16) as threads:
        pages = list(threads.map(scrape, range(60)))
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) <= 2, "each page tells of the requests before it"
    assert _counted("http_database_calls_count", route="/metrics") == before + 60


@ON_SQLITE
def test_whatever_is_away_or_silent_is_told_as_down_and_in_time(system: System, settings: Settings) -> None:
    def down(standing: dict[str, float]) -> set[str]:
        return {name.split()[1] for name, up in standing.items() if name.startswith("dependency_up") and not up}

    assert down(_stand(settings, system.database, system.objects)) == set()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        away = {
            "database": f"postgresql://nobody@127.0.0.1:{port}/none",
            "redis": SecretStr("redis://127.0.0.1:1/0"),
        }
        begun = time.monotonic()
        without = settings.model_copy(update={"redis_url": away["redis"], "clean_bucket": "there-is-no-such-bucket"})
        with closing(Database(str(away["database"]))) as database:
            stands = _stand(without, database, system.objects)
    assert down(stands) == {"database", "redis", "clean"}
    assert time.monotonic() - begun < 5
    assert not [name for name in stands if name.startswith(("queue_waiting", "scanner_up"))], "nobody knows"


def test_what_waits_and_what_is_held(system: System) -> None:
    def stands() -> dict[str, float]:
        return _stand(system.settings, system.database, system.objects)

    assert {name: number for name, number in stands().items() if name.startswith(("scans ", "queue_"))} == {
        **{f"scans {status}": 0 for status in ("receiving", "queued", "scanning", "settling", "failed", "unscannable")},
        **{
            f"queue_{what} {queue}": 0
            for queue in ("scans", "large", "bulk", "rescans")
            for what in ("waiting", "oldest_seconds")
        },
    }
    first, second, third = (system.upload(b"hello") for _ in range(3))
    system.amend(first.id, queued_at=clock.now() - timedelta(hours=2), lane=Lane.BULK)
    system.amend(second.id, queued_at=clock.now() - timedelta(minutes=3))
    _failed(system, third.id)
    now = stands()
    assert (now["scans queued"], now["scans failed"]) == (2, 1)
    assert (now["queue_waiting scans"], now["queue_waiting bulk"]) == (1, 1)
    assert now["queue_oldest_seconds bulk"] == pytest.approx(7200, abs=5)
    assert now["queue_oldest_seconds scans"] == pytest.approx(180, abs=5)


def test_a_verdict_that_nobody_carries_out_grows_old(system: System) -> None:
    scan = system.upload(b"hello")
    with system.database.write() as connection:
        scans.move(connection, scan.id, Status.QUEUED, Status.SCANNING, Cause(Mover.WORKER, "claimed"))
        scans.move(connection, scan.id, Status.SCANNING, Status.SETTLING, Cause(Mover.WORKER, "verdict"))
    system.amend(scan.id, updated_at=clock.now() - timedelta(minutes=20))
    now = _stand(system.settings, system.database, system.objects)
    assert now["settling_oldest_seconds"] == pytest.approx(1200, abs=5)


def test_scanners_are_told_as_a_worker_last_found_them(system: System) -> None:
    system.parts.scanners.check()
    [(name, up)] = [
        (name, up)
        for name, up in _stand(system.settings, system.database, system.objects).items()
        if name.startswith("scanner_up")
    ]
    assert up == 1
    assert system.settings.clamd[0] in name


@ON_SQLITE
def test_a_policy_that_is_refused_is_told_until_it_is_mended(system: System) -> None:
    settings = system.with_policy("")
    policies = Policies(settings.policy_file)
    machine = Machine(policies)

    def refused() -> float:
        policies._look_at = 0.0
        return _samples(exposition.page(machine, as_open=False).decode())["policy_refused", frozenset()]

    good = settings.policy_file.read_text()
    told = [refused()]
    for text in ("nonsense = [", good):
        settings.policy_file.write_text(text)
        os.utime(settings.policy_file, times=(time.time() - 60 - len(text), time.time() - 60 - len(text)))
        told.append(refused())
    assert told == [0, 1, 0]


def test_the_end_of_a_decision_is_counted_where_it_is_committed(system: System) -> None:
    labels = {"service": "default", "status": "failed"}
    before = _counted("scans_ended_total", **labels), _counted("scan_seconds_count", status="failed")
    scan = system.upload(b"hello")
    with pytest.raises(ZeroDivisionError):
        _failed(system, scan.id, lambda: 1 / 0)
    assert (_counted("scans_ended_total", **labels), _counted("scan_seconds_count", status="failed")) == before
    _failed(system, scan.id)
    assert _counted("scans_ended_total", **labels) == before[0] + 1
    assert _counted("scan_seconds_count", status="failed") == before[1] + 1


@ON_SQLITE
def test_each_step_and_each_attempt_is_measured(system: System) -> None:
    def counted() -> dict[str, float]:
        steps = ("fetch", "seal", "inspect", "sniff", "scan", "image", "settle")
        return {step: _counted("scan_step_seconds_count", step=step) for step in steps} | {
            outcome: _counted("scan_attempts_total", outcome=outcome) for outcome in ("ended", "postponed", "failed")
        }

    before = counted()
    assert system.outcome(images.encode(images.photo(), "PNG"), "a.png").status is Status.CLEAN
    direct = system.upload_direct(b"hello", "a.txt")
    assert system.work(direct.id).status is Status.CLEAN
    added = {name: number - before[name] for name, number in counted().items()}
    assert added == {
        "fetch": 2,
        "seal": 1,
        "inspect": 2,
        "sniff": 3,
        "scan": 3,
        "image": 1,
        "settle": 2,
        "ended": 2,
        "postponed": 0,
        "failed": 0,
    }


def test_a_sandboxed_process_that_does_not_end_by_itself_is_told_with_the_reason() -> None:
    told = list[Kill]()
    slow = Sandbox(memory=2 << 30, seconds=0.05, output=0, on_kill=told.append)
    with pytest.raises(SandboxFailed):
        images.sniff(slow, b"text that is read to its end\n" * 10_000_000)
    slow.close()
    narrow = Sandbox(memory=2 << 30, seconds=30, output=5000, on_kill=told.append)
    images.refused(narrow, images.encode(images.photo(), "TIFF"), "image/tiff")
    assert images.sniff(narrow, b"hello") == "text/plain"
    narrow.close()
    assert told[0] is Kill.TIME
    assert set(told[1:]) <= {Kill.OUTPUT}


@ON_SQLITE
def test_rescans_are_counted_by_what_they_found(system: System) -> None:
    def counted() -> list[float]:
        return [_counted("rescans_total", outcome=outcome) for outcome in ("clean", "failed", "skipped", "infected")]

    before, order = counted(), Order("operator:test", Mover.OPERATOR, "request-2")
    for spoil in (False, True):
        scan = system.outcome(b"hello")
        Rescans(system.database, system.queue).ask(scan, order)
        if spoil:
            assert scan.promoted is not None
            system.objects.delete(scan.promoted.bucket, scan.promoted.key)
        system.parts.rescan(scan.id)
    assert [after - first for after, first in zip(counted(), before, strict=True)] == [1, 1, 0, 0]


def test_webhooks_are_told_while_they_are_due_and_by_what_became_of_them(
    tmp_path: Path, database_url: str, redis_url: str, calendar: Calendar
) -> None:
    def overdue() -> tuple[int, float]:
        with outcomes.database.read() as connection:
            number, since = standing.webhooks(connection)
        return number, round((clock.now() - since).total_seconds()) if since else 0

    def counted() -> list[float]:
        return [_counted("webhook_deliveries_total", outcome=each) for each in ("delivered", "failed", "given_up")]

    with (
        Receiver.running() as receiver,
        Outcomes.of(tmp_path, database_url, redis_url, {"alpha": receiver.url}) as outcomes,
    ):
        before = counted()
        outcomes.outcome("alpha")
        with outcomes.database.write() as connection:
            outbox.add_test(connection, "alpha")
        calendar.pass_time(60)
        assert overdue() == (2, 60), "a test is due since long ago, and nobody is late"
        outcomes.deliverer().run("alpha")
        assert overdue() == (0, 0)
        receiver.answer = answers.say(410)
        outcomes.outcome("alpha")
        outcomes.outcome("alpha")
        outcomes.deliverer().run("alpha")
        calendar.pass_time(60)
        assert overdue() == (1, 0), "the receiver is left in peace: it asked for that"
    assert [after - first for after, first in zip(counted(), before, strict=True)] == [2, 1, 1]


def _failed(system: System, scan_id: str, then: Callable[[], object] = lambda: None) -> None:
    with system.database.write() as connection:
        scans.move(connection, scan_id, Status.QUEUED, Status.SCANNING, Cause(Mover.WORKER, "claimed"))
        assert scans.move(connection, scan_id, Status.SCANNING, Status.FAILED, Cause(Mover.WORKER, "gave up"))
        then()
