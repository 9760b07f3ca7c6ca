"""A scanner that cannot see must not be trusted; and what its replies mean."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ops.embedded.clamd_server import Clamd
from ops.embedded.ports import choose
from ops.embedded.supervisor import Supervisor
from tests.clamd_proxy import CRASHES, ClamdProxy
from tests.corpus.archive_makers import TEXT, covering, demanding
from tests.stack import until
from tests.system import System
from worker import clock
from worker.adapters.clamd import Endpoint
from worker.canaries import eicar, encrypted_zip
from worker.errors import ScannerUnavailable
from worker.scanners import LARGEST, Scanners
from worker.scratch import Scratch
from worker.store import scanners as stored


def _scanners(system: System, *addresses: str, development_allowed: bool = True) -> Scanners:
    return Scanners(
        [Endpoint(address, connect_timeout=1, timeout=10) for address in addresses],
        system.database,
        largest=lambda: LARGEST,
        canary_seconds=60,
        max_age=timedelta(hours=1),
        development_allowed=development_allowed,
    )


def _examine(scanners: Scanners, data: bytes = b"hello", size: int | None = None) -> list[str]:
    with Scratch(len(data), memory_limit=len(data), directory=None) as file:
        file.write(data)
        file.freeze()
        return [reason.code for reason in scanners.examine(file.descriptor, size or len(data)).reasons]


def _reported(system: System) -> list[tuple[bool, str]]:
    with system.database.read() as connection:
        found = stored.since(connection, clock.now() - timedelta(minutes=1))
    return [(each["trusted"], each["detail"]) for each in found]


def test_a_scanner_that_flags_its_canaries_is_trusted_and_reported(system: System, clamd_address: str) -> None:
    assert _examine(_scanners(system, clamd_address)) == []
    assert _reported(system) == [(True, "development signatures")]


def test_development_signatures_are_a_fault_in_production(system: System, clamd_address: str) -> None:
    with pytest.raises(ScannerUnavailable, match="only development signatures"):
        _examine(_scanners(system, clamd_address, development_allowed=False))
    [(trusted, detail)] = _reported(system)
    assert not trusted
    assert "official database" in detail


def test_what_no_scanner_can_look_into_is_not_clean(system: System, clamd_address: str) -> None:
    assert _examine(_scanners(system, clamd_address), size=LARGEST + 1) == ["scan_limits_exceeded"]


def test_a_silent_scanner_is_waited_for_once_while_another_takes_the_work(system: System, clamd_address: str) -> None:
    asked = list[socket.socket]()

    def answer_nobody(server: socket.socket) -> None:
        with suppress(OSError):  # closed
            while True:
                asked.append(server.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer_nobody, args=[server], daemon=True).start()
        silent = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        both = _scanners(system, silent, clamd_address)
        both.check()
        assert len(asked) == 1
        assert [_examine(both) for _ in range(8)] == [[]] * 8
        assert len(asked) == 1
        server.shutdown(socket.SHUT_RDWR)
    for each in asked:
        each.close()


def test_a_scanner_lost_between_files_is_told_at_once_and_trusted_again_soon(
    system: System, clamd_tcp_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.scanners._VERSION_SECONDS", 0.0)
    monkeypatch.setattr("worker.scanners._RETRY_SECONDS", 0.3)
    with ClamdProxy.running(clamd_tcp_address) as proxy:
        scanners = _scanners(system, proxy.address)
        watch = threading.Thread(target=scanners.watch)
        watch.start()
        try:
            until(lambda: [trusted for trusted, _ in _reported(system)] == [True], 10, "the first look")
            with socket.create_connection(("127.0.0.1", urlsplit(proxy.address).port or 0)) as link:
                link.sendall(CRASHES)
                link.recv(1)
            with pytest.raises(ScannerUnavailable):
                scanners.check()
            assert [trusted for trusted, _ in _reported(system)] == [False]
            until(lambda: [trusted for trusted, _ in _reported(system)] == [True], 10, "the watch trusts it again")
        finally:
            scanners.close()
            watch.join()


@dataclass
class _Altered(Clamd):
    """clamd with one of our options changed."""

    ours: str = ""
    theirs: str = ""

    def prepare(self) -> None:
        super().prepare()
        path = self.directory / "clamd.conf"
        configuration = path.read_text()
        assert f"\n{self.ours}\n" in configuration
        path.write_text(configuration.replace(f"\n{self.ours}\n", f"\n{self.theirs}\n"))


def _altered(
    servers: Supervisor, server_folder: Path, clamd: Clamd, system: System, ours: str, theirs: str
) -> _Altered:
    folder = server_folder / f"altered-{ours.split()[0]}-{system.database.engine.dialect.name}"
    port = choose(["clamd"])["clamd"]
    altered = _Altered(folder, clamd.signatures, port, clamd.account, folder.name, ours=ours, theirs=theirs)
    servers.start(altered)
    return altered


@pytest.mark.parametrize(
    ("ours", "theirs", "refusal"),
    [
        ("AlertEncrypted yes", "AlertEncrypted no", "said OK to an encrypted zip"),
        ("AlertExceedsMax yes", "AlertExceedsMax no", "said OK to a zip nested too deep"),
        ("StreamMaxLength 2048M", "StreamMaxLength 25M", "takes no stream of 2147483645 bytes"),
    ],
)
def test_a_scanner_as_debian_ships_it_is_not_trusted(
    system: System, servers: Supervisor, server_folder: Path, clamd: Clamd, ours: str, theirs: str, refusal: str
) -> None:
    blind = _altered(servers, server_folder, clamd, system, ours, theirs)
    with pytest.raises(ScannerUnavailable, match=refusal):
        _examine(_scanners(system, blind.tcp_address))
    assert [trusted for trusted, _ in _reported(system)] == [False]


def test_scans_go_on_while_signatures_are_reloaded(system: System, clamd_address: str) -> None:
    """Again and again: each file gets its answer, and no scanner loses its trust."""
    scanners = _scanners(system, clamd_address)
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(clamd_address.removeprefix("unix://"))
            link.sendall(b"nRELOAD\n")
            assert link.recv(64) == b"RELOADING\n"
        assert [_examine(scanners, data) for data in (b"hello", eicar(), encrypted_zip())] == [
            [],
            ["signature_found"],
            ["encrypted"],
        ]
    assert [trusted for trusted, _ in _reported(system)] == [True]


def test_a_scan_that_clamd_cuts_off_is_told_apart(
    system: System, servers: Supervisor, server_folder: Path, clamd: Clamd
) -> None:
    """At 50 ms, which canaries do not need: 3,000 entries in an archive take ten times as long."""
    hurried = _altered(servers, server_folder, clamd, system, "MaxScanTime 480000", "MaxScanTime 50")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3000):
            archive.writestr(f"{number}.txt", f"{number} " * 100)
    assert _examine(_scanners(system, hurried.address), packed.getvalue()) == ["scan_timed_out"]


def test_what_clamd_does_not_unpack_is_no_malware(system: System, clamd_address: str) -> None:
    """An xz with a dictionary of 2 GiB, and entries of a zip that overlap: it has a name of its own for each."""
    scanners = _scanners(system, clamd_address)
    assert _examine(scanners, demanding(TEXT, 30)) == []
    assert _examine(scanners, demanding(TEXT, 31)) == ["scan_limits_exceeded"]
    assert _examine(scanners, covering(20)) == ["scan_limits_exceeded"]
