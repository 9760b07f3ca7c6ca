"""The scanner as we configure it: what it must find, what it must not call clean, and how it says so."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.embedded.clamd_server import Clamd
from worker.adapters.clamd import Endpoint
from worker.canaries import eicar, encrypted_zip, nested_zip

TESTFILES = sorted(Path("/usr/share/clamav-testfiles").iterdir())
MANY = 100_001  # files in an archive, one above the limit
GIB = 2**30

Ask = Callable[[Path], str | None]


@pytest.fixture(params=["unix", "tcp"])
def endpoint(request: pytest.FixtureRequest, clamd: Clamd) -> Endpoint:
    address = clamd.address if request.param == "unix" else clamd.tcp_address
    return Endpoint(address, connect_timeout=2, timeout=120)


@pytest.fixture
def ask(clamd: Clamd) -> Ask:
    """The name under which a file is found, or None, by way of a descriptor."""
    endpoint = Endpoint(clamd.address, connect_timeout=2, timeout=120)

    def found(path: Path) -> str | None:
        with path.open("rb") as file:
            return endpoint.scan(file.fileno()).found

    return found


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A file whose bytes do not stay on the disk."""
    path = tmp_path / "file"
    yield path
    path.unlink(missing_ok=True)


def _zipped(**entries: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_debians_collection_is_complete() -> None:
    assert len(TESTFILES) == 44


@pytest.mark.parametrize("path", TESTFILES, ids=lambda path: path.name)
def test_debians_test_files_are_found(ask: Ask, path: Path) -> None:
    assert ask(path) == "Lazaretto.Development.ClamAV-Test-File.UNOFFICIAL"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (eicar(), "Lazaretto.Development.Eicar.UNOFFICIAL"),
        (_zipped(readme=b"hello", virus=eicar()), "Lazaretto.Development.Eicar.UNOFFICIAL"),
        (encrypted_zip(), "Heuristics.Encrypted.Zip"),
        (nested_zip(), "Heuristics.Limits.Exceeded.MaxRecursion"),
        (b"Nothing to see here.\n", None),
    ],
    ids=["eicar", "eicar in a zip", "encrypted", "nested", "text"],
)
def test_both_ways_in_give_the_same_answer(endpoint: Endpoint, file: Path, data: bytes, name: str | None) -> None:
    file.write_bytes(data)
    with file.open("rb") as opened:
        assert endpoint.scan(opened.fileno()).found == name


def test_an_archive_of_too_many_files_is_not_clean(ask: Ask, file: Path) -> None:
    """The rest of it is not looked at, see awslabs/cdk-serverless-clamscan#533."""
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(MANY):
            archive.writestr(str(number), b"x")
    assert ask(file) == "Heuristics.Limits.Exceeded.MaxFiles"


def test_an_archive_of_more_files_than_clamavs_default_is_searched_to_its_end(ask: Ask, file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(11_000):
            archive.writestr(str(number), b"x")
        archive.writestr("last", eicar())
    assert ask(file) == "Lazaretto.Development.Eicar.UNOFFICIAL"


def test_what_is_larger_than_clamav_can_count_is_not_clean(ask: Ask, file: Path) -> None:
    """More than 2 GB were reported clean, see Cisco-Talos/clamav#1274."""
    with file.open("wb") as opened:
        opened.truncate(2 * GIB)
    assert ask(file) == "Heuristics.Limits.Exceeded.MaxFileSize"


def test_a_needle_at_the_end_of_a_large_archive_is_found(ask: Ask, file: Path) -> None:
    """Beyond ClamAV's own limits of 100 and 400 MB."""
    block = os.urandom(4096) * 256
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("padding", "w") as entry:
            for _ in range(410):
                entry.write(block)
        archive.writestr("virus", eicar())
    assert ask(file) == "Lazaretto.Development.Eicar.UNOFFICIAL"


def test_development_signatures_have_no_number(endpoint: Endpoint) -> None:
    version = endpoint.version()
    assert version.engine.startswith("ClamAV 1.")
    assert (version.database, version.database_time) == (None, None)
