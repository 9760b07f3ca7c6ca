"""One suite for both ways to reach clamd: descriptors over a unix socket, streams over TCP."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from worker.adapters.clamd import Endpoint
from worker.canaries import CANARIES, eicar
from worker.errors import ScannerFailed, ScannerUnavailable
from worker.scanners import LARGEST
from worker.scratch import Scratch


@pytest.fixture(params=["unix", "tcp"])
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    address = request.getfixturevalue("clamd_address" if request.param == "unix" else "clamd_tcp_address")
    return Endpoint(address, connect_timeout=2, timeout=30)


@contextmanager
def _file(data: bytes) -> Iterator[int]:
    with Scratch(len(data), memory_limit=len(data), directory=None) as scratch:
        scratch.write(data)
        scratch.freeze()
        yield scratch.descriptor


def test_the_version_is_told(endpoint: Endpoint) -> None:
    version = endpoint.version()
    assert version.engine.startswith("ClamAV 1.")
    assert (version.database, version.database_time) == (None, None), "development signatures have no number"


def test_clean_bytes_are_ok_wherever_the_descriptor_stands(endpoint: Endpoint) -> None:
    with _file(os.urandom(3_000_000)) as descriptor:
        os.lseek(descriptor, 0, os.SEEK_END)
        assert endpoint.scan(descriptor).found is None


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.what)
def test_every_canary_is_flagged(endpoint: Endpoint, canary: object) -> None:
    assert isinstance(canary, type(CANARIES[0]))
    with _file(canary.data()) as descriptor:
        assert (endpoint.scan(descriptor).found or "").startswith(canary.expected)


def test_it_takes_the_largest_file_that_clamav_looks_into(endpoint: Endpoint) -> None:
    assert endpoint.takes(LARGEST, 30)


def test_what_is_longer_than_a_stream_may_be_is_known_before_it_is_sent(clamd_tcp_address: str) -> None:
    endpoint = Endpoint(clamd_tcp_address, connect_timeout=2, timeout=30)
    assert not any(endpoint.takes(size, 30) for size in (2**31 + 1, 2**32 - 1))


def test_malware_behind_a_megabyte_of_noise_is_found_as_an_entry(endpoint: Endpoint, tmp_path: Path) -> None:
    import zipfile

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("noise", os.urandom(2_000_000))
        packed.writestr("eicar.com", eicar())
    with _file(path.read_bytes()) as descriptor:
        assert "Eicar" in (endpoint.scan(descriptor).found or "")


@pytest.mark.parametrize("address", ["unix:///nowhere/clamd.sock", "tcp://127.0.0.1:1"])
def test_nobody_there_is_an_outage_that_is_not_the_file_s_fault(address: str) -> None:
    nobody = Endpoint(address, connect_timeout=1, timeout=1)
    with _file(b"x") as descriptor, pytest.raises(ScannerUnavailable):
        nobody.scan(descriptor)
    with pytest.raises(ScannerUnavailable):
        nobody.version()


@contextmanager
def _impostor(path: Path, answer: bytes | None) -> Iterator[Endpoint]:
    """Something that listens where clamd should, reads, and answers with these bytes (None: not at all)."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        over = threading.Event()

        def serve() -> None:
            link, _ = listener.accept()
            with link, suppress(BrokenPipeError, ConnectionResetError):  # the scanner's client has heard enough
                link.recv(65536)
                if answer is None:
                    over.wait()
                else:
                    link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield Endpoint(f"unix://{path}", connect_timeout=1, timeout=0.3)
        over.set()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"\n",
        b"stream: OK",
        b"OK\n",
        b"stream: Eicar OK\n",
        b"stream: FOUND\n",
        b"stream: Can't allocate memory ERROR\n",
        b"fd[10]: lstat() failed: No such file or directory. ERROR\n",
        b"COMMAND READ TIMED OUT\n",
        b"UNKNOWN COMMAND\n",
        b"\xff\xfe\n",
        b"x" * 100_000,
    ],
)
def test_whatever_is_not_understood_is_an_outage_and_never_clean(tmp_path: Path, answer: bytes | None) -> None:
    with (
        _impostor(tmp_path / "clamd.sock", answer) as impostor,
        _file(b"x") as descriptor,
        pytest.raises(ScannerFailed) as caught,
    ):
        impostor.scan(descriptor)
    assert caught.value.counts


def test_a_scan_is_interrupted_and_a_canary_is_not(tmp_path: Path) -> None:
    """A canary that somebody hung up on would make the scanner look blind."""
    for seconds, word in ((None, "hung up"), (0.5, "timed out")):
        path = tmp_path / f"{word}.sock"
        with _impostor(path, None) as silent, _file(b"x") as descriptor:
            patient = Endpoint(silent.address, connect_timeout=1, timeout=30)
            threading.Timer(0.1, patient.interrupt).start()
            with pytest.raises(ScannerFailed, match=word):
                patient.scan(descriptor, seconds)


def test_a_size_limit_is_told_apart(tmp_path: Path) -> None:
    answer = b"INSTREAM size limit exceeded. ERROR\n"
    with _impostor(tmp_path / "clamd.sock", answer) as impostor, _file(b"x") as descriptor:
        assert impostor.scan(descriptor).size_limit


@pytest.mark.parametrize(
    ("answer", "database", "moment"),
    [
        (b"ClamAV 1.4.6/27462/Mon Nov 23 08:00:00 2026\n", "27462", "2026-11-23T08:00:00+00:00"),
        (b"ClamAV 1.4.6\n", None, None),
    ],
)
def test_versions(tmp_path: Path, answer: bytes, database: str | None, moment: str | None) -> None:
    with _impostor(tmp_path / "clamd.sock", answer) as impostor:
        version = impostor.version()
    assert (version.engine, version.database) == ("ClamAV 1.4.6", database)
    assert (version.database_time.isoformat() if version.database_time else None) == moment
