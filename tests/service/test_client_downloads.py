"""A download is whole, or not there."""

from __future__ import annotations

import io
import json
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import pytest

from lazaretto_client import Lazaretto, Problem, Unreachable, transport
from tests.peer import Answer, HangUp, Peer

DATA = os.urandom(100_000)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_FIRST_PAUSE", 0.01)


def _scan() -> Answer:
    promoted = {"bucket": "b", "key": "k", "size": len(DATA), "sha256": sha256(DATA).hexdigest(), "type": "t"}
    record = {"id": "1", "status": "clean", "filename": "a", "promoted": promoted}
    return Answer(200, json.dumps(record).encode())


def _download(target: Path | BinaryIO, *store: Answer | HangUp) -> Peer:
    """What came to the API, which tells the address and the scan, and to the store, both of which are one here."""
    with Peer.running() as peer, Lazaretto(peer.url, "secret") as lazaretto:
        peer.steps += [Answer(307, b"", {"Location": f"{peer.url}/object?signature=1"}), _scan(), *store]
        lazaretto.download("1", target)
    return peer


def test_a_broken_one_is_begun_anew_and_without_the_key(tmp_path: Path) -> None:
    place = tmp_path / "a"
    peer = _download(place, HangUp(), Answer(503), Answer(200, DATA))
    assert place.read_bytes() == DATA
    assert [each.path for each in peer.seen][2:] == ["/object?signature=1"] * 3
    assert [each.headers["Authorization"] for each in peer.seen] == ["Bearer secret"] * 2 + [None] * 3


def test_a_new_file_is_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    _download(tmp_path / "a", Answer(200, DATA))
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@pytest.mark.parametrize("answer", [Answer(200, DATA[:-1]), Answer(200, DATA + b"x"), Answer(200, b""), Answer(403)])
def test_what_was_there_stays_where_the_new_one_is_not_whole(answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.write_bytes(b"before")
    with pytest.raises(Problem) as refused:
        _download(place, answer)
    assert refused.value.code in ("content_changed", "store_refuses")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"before"]


def test_a_stream_that_cannot_seek_is_written_once() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    pipe = Pipe()
    _download(pipe, Answer(200, DATA))
    assert pipe.getvalue() == DATA
    with pytest.raises(Unreachable):
        _download(Pipe(), HangUp(), Answer(200, DATA))
