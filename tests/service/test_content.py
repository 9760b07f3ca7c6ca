"""The way to the promoted bytes: short-lived, signed for where clients are, and without our key."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.app import create_app
from lazaretto_client import Lazaretto, Problem
from ops.embedded.ports import choose
from tests.recorder import Recorder
from tests.stack import until
from tests.system import KEY, System
from worker.canaries import eicar, encrypted_zip
from worker.scan import Scan

TEXT = b"Nothing to see here.\n"
SECONDS = 2  # for which an address works; the store counts whole seconds
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextmanager
def _api(system: System, public: str | None = None) -> Iterator[str]:
    """Where an API is whose clients reach the store at `public`."""
    changes = {"s3_public_url": public, "content_url_seconds": SECONDS}
    port = choose(["api"])["api"]
    server = uvicorn.Server(
        uvicorn.Config(create_app(system.settings.model_copy(update=changes)), port=port, log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started, 10, "the API")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def clean(system: System) -> Scan:
    scan = system.outcome(TEXT, "notes.txt")
    assert scan.status == "clean"
    return scan


@contextmanager
def _through_the_store(system: System, s3: dict[str, str]) -> Iterator[tuple[Recorder, str]]:
    with Recorder.running(s3["AWS_ENDPOINT_URL_S3"]) as store, _api(system, store.url) as url:
        yield store, url


def test_the_client_fetches_where_clients_are_and_keeps_its_key(
    system: System, s3: dict[str, str], clean: Scan, tmp_path: Path
) -> None:
    with _through_the_store(system, s3) as (store, url), Lazaretto(url, KEY) as lazaretto:
        assert lazaretto.content_url(clean.id).startswith(f"{store.url}/{system.settings.clean_bucket}/")
        lazaretto.download(clean.id, tmp_path / "notes.txt")
        stream = io.BytesIO(b"head")
        stream.seek(4)
        lazaretto.download(clean.id, stream)
    assert (tmp_path / "notes.txt").read_bytes() == TEXT
    assert stream.getvalue() == b"head" + TEXT
    assert store.said.count(b"GET /") == 2
    assert b"authorization:" not in store.said.lower()
    assert KEY.encode() not in store.said


def test_whoever_follows_the_redirect_with_httpx_keeps_the_key_too(
    system: System, s3: dict[str, str], clean: Scan
) -> None:
    """The store is on the same host, at another port."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with _through_the_store(system, s3) as (store, url):
        answer = httpx.get(f"{url}/v1/scans/{clean.id}/content", headers=headers, follow_redirects=True)
    assert (answer.status_code, answer.content) == (200, TEXT)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''notes.txt"
    assert b"authorization:" not in store.said.lower()


def test_the_address_works_for_so_long_and_for_nothing_else(system: System, s3: dict[str, str], clean: Scan) -> None:
    with _through_the_store(system, s3) as (_, url), Lazaretto(url, KEY) as lazaretto:
        address = lazaretto.content_url(clean.id)
        assert httpx.get(address).content == TEXT
        assert httpx.delete(address).status_code == 403
        assert httpx.get(address.replace("notes.txt", "notes.html")).status_code == 403
        time.sleep(SECONDS + 1)
        assert httpx.get(address).status_code == 403
        assert httpx.get(lazaretto.content_url(clean.id)).content == TEXT


def test_other_bytes_than_those_on_record_are_no_download(system: System, clean: Scan, tmp_path: Path) -> None:
    assert clean.promoted is not None
    place = tmp_path / "notes.txt"
    with _api(system) as url, Lazaretto(url, KEY) as lazaretto:
        system.objects._s3.put_object(Bucket=clean.promoted.bucket, Key=clean.promoted.key, Body=TEXT[::-1])
        with pytest.raises(Problem) as refused:
            lazaretto.download(clean.id, place)
    assert refused.value.code == "content_changed"
    assert list(tmp_path.glob("*notes*")) == []


def test_what_is_not_promoted_says_whether_it_will_be(system: System) -> None:
    outcomes = {
        "queued": system.upload(TEXT),
        "unscannable": system.outcome(encrypted_zip(), "a.zip"),
        "infected": system.outcome(eicar()),
        "rejected": system.outcome(TEXT, "a.png"),
    }
    expected = {
        "queued": (409, "not_promoted", True),
        "unscannable": (409, "not_promoted", False),
        "infected": (410, "deleted", False),
        "rejected": (410, "deleted", False),
    }
    with _api(system) as url, Lazaretto(url, KEY, retries=0) as lazaretto:
        for status, scan in outcomes.items():
            assert scan.status == status
            with pytest.raises(Problem) as refused:
                lazaretto.content_url(scan.id)
            problem = refused.value
            assert (problem.status, problem.code, problem.retryable) == expected[status]
        lazaretto.erase(outcomes["unscannable"].id)
        with pytest.raises(Problem, match="erased") as refused:
            lazaretto.content_url(outcomes["unscannable"].id)
        assert refused.value.status == 410
