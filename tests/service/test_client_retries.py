"""When the client asks again, and when it does not."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

import pytest

from lazaretto_client import Lazaretto, LazarettoError, Problem, Unreachable, WaitTimeout, transport
from tests.peer import Answer, HangUp, Peer

ACCEPTED = Answer(202, b'{"id": "1", "status": "queued", "filename": "a"}')
RUNNING = Answer(200, b'{"id": "1", "status": "scanning", "filename": "a"}')
DATA = os.urandom(3_000_000)
MIDDLE = 1_000_000  # bytes, more than is sent in one piece


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_FIRST_PAUSE", 0.01)


def _client(peer: Peer, retries: int = 4) -> Lazaretto:
    return Lazaretto(peer.url, "secret", retries=retries)


def _pipe(data: bytes) -> BinaryIO:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    return Pipe(data)


@pytest.mark.parametrize(
    "fault", [Answer.problem(503, retryable=True), HangUp(), HangUp(MIDDLE), Answer(502), Answer(429)]
)
@pytest.mark.parametrize("metadata", [None, {"user": 7}])
def test_an_upload_is_repeated_whole_under_one_key(
    fault: Answer | HangUp, metadata: dict[str, int] | None, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with Peer.running(fault, fault, ACCEPTED) as peer, _client(peer) as lazaretto:
        for file in (path, str(path), DATA, io.BytesIO(DATA)):
            assert lazaretto.upload(file, metadata=metadata).id == "1"
    assert len(peer.seen) == 6
    assert all(DATA in each.body for each in peer.seen[2:])
    assert len({each.headers["Idempotency-Key"] for each in peer.seen}) == 4
    assert len({each.headers["Idempotency-Key"] for each in peer.seen[:3]}) == 1


def test_a_stream_that_can_seek_is_sent_from_where_it_stood() -> None:
    stream = io.BytesIO(b"head" + DATA)
    stream.seek(4)
    with Peer.running(HangUp(MIDDLE), ACCEPTED) as peer, _client(peer) as lazaretto:
        lazaretto.upload(stream)
    assert peer.seen[1].body == DATA


def test_a_pipe_is_sent_in_chunks() -> None:
    with Peer.running(ACCEPTED) as peer, _client(peer) as lazaretto:
        lazaretto.upload(_pipe(DATA))
    assert (peer.seen[0].body, peer.seen[0].headers["Transfer-Encoding"]) == (DATA, "chunked")


def test_a_pipe_is_not_sent_again_once_it_was_read() -> None:
    with Peer.running(HangUp(MIDDLE), ACCEPTED) as peer, _client(peer) as lazaretto:
        with pytest.raises(Unreachable):
            lazaretto.upload(_pipe(DATA))
        assert len(peer.seen) == 1


def test_what_stays_refused_is_not_asked_again() -> None:
    fault = Answer.problem(413, retryable=False)
    with Peer.running(fault) as peer, _client(peer) as lazaretto, pytest.raises(Problem) as refused:
        lazaretto.upload(b"x")
    problem = refused.value
    assert (problem.status, problem.code, problem.expected) == (413, "told_so", "patience")
    assert (problem.retryable, problem.request_id, str(problem)) == (False, "r-1", "It was told to.")
    assert len(peer.seen) == 1


def test_tries_are_counted() -> None:
    fault = Answer.problem(503, retryable=True)
    with Peer.running(fault) as peer, _client(peer, retries=2) as lazaretto, pytest.raises(Problem, match="told to"):
        lazaretto.get("1")
    assert len(peer.seen) == 3


@pytest.mark.parametrize("when", [lambda: "1", lambda: formatdate(time.time() + 2, usegmt=True)])
def test_the_server_says_when(when: Callable[[], str]) -> None:
    fault = Answer.problem(503, retryable=True, **{"Retry-After": when()})
    begun = time.monotonic()
    with Peer.running(fault, RUNNING) as peer, _client(peer) as lazaretto:
        lazaretto.get("1")
    assert 0.9 <= time.monotonic() - begun < 5
    assert len(peer.seen) == 2


def test_nobody_sleeps_for_an_hour() -> None:
    fault = Answer.problem(429, retryable=True, **{"Retry-After": "3600"})
    with Peer.running(fault) as peer, _client(peer) as lazaretto, pytest.raises(Problem) as refused:
        lazaretto.get("1")
    assert (refused.value.retry_after, len(peer.seen)) == (3600, 1)


@pytest.mark.parametrize("date", ["Fri, 31 Dec 99999999999 23:59:59 GMT", f"Fri, 31 Dec 2027 23:59:59 +{'9' * 20}"])
def test_a_date_that_no_calendar_holds_says_nothing(date: str) -> None:
    fault = Answer.problem(400, retryable=False, **{"Retry-After": date})
    with Peer.running(fault) as peer, _client(peer) as lazaretto, pytest.raises(Problem) as refused:
        lazaretto.get("1")
    assert refused.value.retry_after is None


def test_where_nobody_listens_is_said() -> None:
    silence = pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 does not answer")
    with Lazaretto("http://127.0.0.1:1", "secret", retries=1) as lazaretto, silence:
        lazaretto.get("1")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>"),
        Answer(200, b"[]"),
        Answer(200, b'{"items": 1}'),
        Answer(307, b""),
        Answer(418, b"{", {"Content-Type": "application/problem+json"}),
        Answer(418, b"[]", {"Content-Type": "application/problem+json"}),
    ],
)
def test_whatever_else_answers_there_is_a_problem(answer: Answer) -> None:
    with Peer.running(answer) as peer, _client(peer) as lazaretto, pytest.raises(Problem) as refused:
        lazaretto.get("1")
    assert (refused.value.code, refused.value.retryable) == ("unexpected_answer", False)


def test_waiting_ends_in_time_and_keeps_the_scan() -> None:
    begun = time.monotonic()
    with Peer.running(RUNNING) as peer, _client(peer) as lazaretto, pytest.raises(WaitTimeout) as late:
        lazaretto.wait("1", timeout=1)
    assert 1 <= time.monotonic() - begun < 3
    assert late.value.scan.status == "scanning"
    assert 2 <= len(peer.seen) <= 4  # the server answers at once, and is not asked all the time


def test_a_file_that_shrinks_meanwhile_is_no_upload(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with Peer.running(ACCEPTED) as peer, _client(peer) as lazaretto, pytest.raises(LazarettoError, match="shorter"):
        lazaretto.upload(path, progress=lambda sent, _size: os.truncate(path, sent))


def test_a_file_that_grows_meanwhile_is_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(DATA)
    with Peer.running(ACCEPTED) as peer, _client(peer) as lazaretto:
        lazaretto.upload(path, progress=lambda _sent, _size: path.write_bytes(DATA + b"more"))
    assert peer.seen[0].body == DATA


def test_progress_begins_anew_with_each_try() -> None:
    told: list[tuple[int, int | None]] = []
    with Peer.running(HangUp(MIDDLE), ACCEPTED) as peer, _client(peer) as lazaretto:
        lazaretto.upload(DATA, progress=lambda sent, size: told.append((sent, size)))
    last = told.index(min(told), 1)
    assert told[-1] == (len(DATA), len(DATA))
    assert [sent for sent, _ in told[last:]] == sorted(sent for sent, _ in told[last:])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "ä?#%.txt", "line\nbreak", 'quo"te', "back\\slash", "\udcff"])
def test_any_name_is_one_segment_of_the_path(name: str) -> None:
    with Peer.running(ACCEPTED) as peer, _client(peer) as lazaretto:
        lazaretto.upload(b"x", filename=name)
    prefix, _, segment = peer.seen[0].path.rpartition("/")
    assert prefix == "/v1/uploads"
    assert "?" not in segment
    assert segment not in (".", "..")
