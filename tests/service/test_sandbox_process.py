"""The fork server and its children: what they start with, what they lose, and who ends them."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests import images, processes
from tests.stack import until
from worker.errors import SandboxFailed, SandboxUnavailable
from worker.sandbox import ImageLimits, Reencoded, Refused, Sandbox, launcher
from worker.sandbox.wire import Ending, Request
from worker.scan import ReasonCode

JPEG = images.encode(images.photo(), "JPEG")
ENDLESS = images.endless()
GENEROUS = ImageLimits(max_pixels=10**9, max_frames=10**6, max_total_pixels=10**12)
PARENTS_WORLD = {"pydantic", "pydantic_settings", "sqlalchemy", "boto3", "botocore", "celery", "redis", "structlog"}
DECODERS = {"pyvips", "magic", "PIL", "pillow_heif"}
ROOT = str(Path(launcher.__file__).parents[2])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One for all: whatever a test does to its server, the next call starts another."""
    sandbox = Sandbox(memory=2 << 30, seconds=30, output=64 << 20)
    yield sandbox
    sandbox.close()


class _Busy:
    """A child of the sandbox that decodes for minutes, unless somebody ends it."""

    def __init__(self, sandbox: Sandbox) -> None:
        images.sniff(sandbox, JPEG)
        self._threads = ThreadPoolExecutor(1)
        self.outcome: Future[tuple[Reencoded | Refused, bytes]] = self._threads.submit(
            images.remake, sandbox, ENDLESS, "image/png", GENEROUS
        )
        self.server = _server(sandbox)
        self.child = self._confined_child()

    def _confined_child(self) -> int:
        while True:
            for child in _children(self.server):
                if _is_at_work(child):
                    return child
            assert not self.outcome.done()

    def end(self) -> None:
        self._threads.shutdown()


@pytest.fixture
def busy(sandbox: Sandbox) -> Iterator[_Busy]:
    busy = _Busy(sandbox)
    yield busy
    busy.end()


def _server(sandbox: Sandbox) -> int:
    assert sandbox._server is not None
    return sandbox._server.pid


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _children(server: int) -> set[int]:
    """Without those that are dead and wait to be buried, at the next call."""
    return set(processes.family(server) - {server})


def _is_at_work(child: int) -> bool:
    """One that waits for its call has not put up the last wall."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return _status(child).get("Seccomp") == "2"
    return False


def _wait_for_end(process: int, seconds: float = 10) -> bool:
    """By pidfd: opened before the end, so it is that process and no later one of the same number."""
    return bool(select.select([process], [], [], seconds)[0])


def _run(program: str) -> str:
    """A fresh interpreter that has the package on its path and nothing else."""
    program = f"import sys; sys.path.insert(0, {ROOT!r})\n{program}"
    return subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True).stdout


def test_the_server_starts_in_an_empty_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    look = """
import json, os, socket, sys
links = {fd: f"/proc/self/fd/{fd}" for fd in range(1000)}
fds = {fd: os.readlink(link) for fd, link in links.items() if os.path.lexists(link)}
world = {"environment": sorted(os.environ), "fds": fds, "cwd": os.getcwd(), "leads": os.getsid(0) == os.getpid()}
socket.socket(fileno=int(sys.argv[2])).send(json.dumps(world).encode())
"""
    leak = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(leak, True)
    with ours, theirs, launcher.start(theirs, look) as process:
        world = json.loads(ours.recv(65536))
        control = str(theirs.fileno())
    os.close(leak)
    assert process.returncode == 0
    assert world["environment"] == sorted(launcher.ENVIRONMENT)
    assert not {"PATH", "HOME", "AWS_SECRET_ACCESS_KEY"} & launcher.ENVIRONMENT.keys()
    assert world["cwd"] == "/"
    assert world["leads"]
    assert world["fds"].keys() == {"0", "1", "2", control}
    assert world["fds"]["0"] == world["fds"]["1"] == "/dev/null"


def test_the_server_loads_nothing_of_the_workers_world() -> None:
    loaded = set(_run("import worker.sandbox.server; print(*sys.modules)").split())
    assert loaded >= DECODERS
    assert not loaded & PARENTS_WORLD


def test_the_worker_loads_no_decoder() -> None:
    loaded = set(_run("import worker.sandbox; print(*sys.modules)").split())
    assert not loaded & (DECODERS | PARENTS_WORLD)


def test_a_child_opens_no_file_and_imports_nothing(tmp_path: Path) -> None:
    """Everything is loaded before the fork; a child that is shut off from the file system needs none."""
    for kind, media_type in (("JPEG", "jpeg"), ("HEIF", "heic"), ("BMP", "bmp"), ("GIF", "gif"), ("TIFF", "tiff")):
        (tmp_path / media_type).write_bytes(images.encode(images.photo(), kind))
    opened = _run(f"""
import os
from pathlib import Path
from worker.sandbox import ImageLimits, Reencoded, images, server, sniffing
images.preload()
database = sniffing.open_database()
files = {{path.name: os.open(path, os.O_RDONLY) for path in Path({str(tmp_path)!r}).iterdir()}}
touched = []
watched = {{"open", "import", "os.listdir", "ctypes.dlopen"}}
sys.addaudithook(lambda event, what: touched.append(what[0]) if event in watched else None)
for name, source in files.items():
    assert sniffing.sniff(database, source).type == "image/" + name
    target = os.memfd_create("target")
    os.lseek(source, 0, os.SEEK_SET)
    assert isinstance(images.reencode(source, target, "image/" + name, ImageLimits(10**6, 10)), Reencoded)
print([what for what in touched if not isinstance(what, int)])
""")
    assert opened.strip() == "[]"


def test_the_server_never_runs_a_decoder(sandbox: Sandbox) -> None:
    images.remade(sandbox, JPEG, "image/jpeg")
    assert _status(_server(sandbox))["Threads"] == "1"


def test_one_server_serves_many_calls_and_keeps_one_child_in_waiting(sandbox: Sandbox) -> None:
    images.sniff(sandbox, JPEG)
    server = _server(sandbox)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        images.remade(sandbox, JPEG, "image/jpeg")
    assert _server(sandbox) == server
    until(lambda: len(_children(server)) == 1, 10, "the end of the others")
    assert not any(map(_is_at_work, _children(server)))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_child_is_confined(busy: _Busy) -> None:
    status = _status(busy.child)
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    limits = Path(f"/proc/{busy.child}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    assert f"Max address space         {2 << 30}           {2 << 30}" in limits
    assert f"Max file size             {64 << 20}             {64 << 20}" in limits
    os.kill(busy.child, signal.SIGKILL)


def test_a_lost_server_is_an_outage_and_then_replaced(sandbox: Sandbox) -> None:
    images.sniff(sandbox, JPEG)
    server = _server(sandbox)
    os.kill(server, signal.SIGKILL)
    with pytest.raises(SandboxFailed):
        images.sniff(sandbox, JPEG)
    assert images.sniff(sandbox, JPEG) == "image/jpeg"
    assert _server(sandbox) != server


def test_a_server_lost_in_the_middle_takes_its_child_along(busy: _Busy) -> None:
    child = os.pidfd_open(busy.child)
    os.kill(busy.server, signal.SIGKILL)
    with pytest.raises(SandboxFailed):
        busy.outcome.result()
    assert _wait_for_end(child)
    os.close(child)


def test_a_child_that_crashes_is_a_finding(busy: _Busy) -> None:
    os.kill(busy.child, signal.SIGSEGV)
    outcome, _ = busy.outcome.result()
    assert isinstance(outcome, Refused)
    assert outcome.code is ReasonCode.IMAGE_UNDECODABLE
    assert "crashed" in outcome.message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_somebody_kills_is_an_outage(busy: _Busy, number: int) -> None:
    os.kill(busy.child, number)
    with pytest.raises(SandboxFailed, match="somebody else"):
        busy.outcome.result()


def test_a_slow_image_runs_out_of_time() -> None:
    sandbox = Sandbox(memory=2 << 30, seconds=0.5, output=64 << 20)
    refused = images.refused(sandbox, ENDLESS, "image/png", GENEROUS)
    server = _server(sandbox)
    assert refused.code is ReasonCode.SCAN_TIMED_OUT
    assert "0.5 seconds" in refused.message
    assert not any(map(_is_at_work, _children(server)))
    assert images.sniff(sandbox, JPEG) == "image/jpeg"
    assert _server(sandbox) == server
    sandbox.close()


def test_a_slow_sniff_is_an_outage() -> None:
    sandbox = Sandbox(memory=2 << 30, seconds=0.05, output=0)
    with pytest.raises(SandboxFailed, match="took too long"):
        images.sniff(sandbox, b"text that is read to its end\n" * 10_000_000)
    sandbox.close()


def test_a_child_that_dies_while_it_waits_is_replaced(sandbox: Sandbox) -> None:
    images.sniff(sandbox, JPEG)
    server = _server(sandbox)
    for child in _children(server):
        os.kill(child, signal.SIGKILL)
    until(lambda: not _children(server), 10, "the end of the child in waiting")
    assert images.sniff(sandbox, JPEG) == "image/jpeg"
    assert _server(sandbox) == server


def test_a_greedy_image_runs_out_of_memory() -> None:
    sandbox = Sandbox(memory=256 << 20, seconds=30, output=64 << 20)
    refused = images.refused(sandbox, images.greedy(), "image/jpeg", GENEROUS)
    sandbox.close()
    assert refused.code is ReasonCode.IMAGE_UNDECODABLE
    assert "memory" in refused.message


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF"])
def test_an_image_that_grows_too_large_is_refused(kind: str) -> None:
    sandbox = Sandbox(memory=2 << 30, seconds=30, output=5000)
    refused = images.refused(sandbox, images.encode(images.photo(), kind), f"image/{kind.lower()}")
    sandbox.close()
    assert refused.code is ReasonCode.IMAGE_UNDECODABLE
    assert "larger than one image may become" in refused.message


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_a_full_disk_is_an_outage(sandbox: Sandbox, kind: str) -> None:
    """Or every image would be refused, and deleted, for as long as it is full."""
    source, target = images.memfd(images.encode(images.photo(), kind)), os.open("/dev/full", os.O_RDWR)
    with pytest.raises(SandboxFailed):
        sandbox.reencode(source, target, f"image/{kind.lower()}", images.LIMITS)
    os.close(source)
    os.close(target)


def test_a_server_that_cannot_start_is_an_outage(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.close()
    for executable in ("/nonexistent", "/bin/false"):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(SandboxUnavailable, match="start"):
            images.sniff(sandbox, JPEG)
    monkeypatch.undo()
    assert images.sniff(sandbox, JPEG) == "image/jpeg"


def test_the_server_ends_with_a_killed_worker() -> None:
    program = f"""
import sys; sys.path.insert(0, {ROOT!r})
import os
from worker.sandbox import Sandbox
sandbox = Sandbox(memory=2 << 30, seconds=30, output=0)
sandbox.sniff(os.memfd_create("empty"))
print(sandbox._server.pid, flush=True)
sys.stdin.read()
"""
    command = [sys.executable, "-I", "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        server = os.pidfd_open(int(worker.stdout.readline()))
        worker.kill()
    assert _wait_for_end(server)
    os.close(server)


def test_the_server_and_its_busy_child_end_with_the_socket(busy: _Busy, sandbox: Sandbox) -> None:
    server, child = os.pidfd_open(busy.server), os.pidfd_open(busy.child)
    assert sandbox._server is not None
    sandbox._server._control.shutdown(socket.SHUT_RDWR)
    assert _wait_for_end(child)
    assert _wait_for_end(server)
    with pytest.raises(SandboxFailed):
        busy.outcome.result()
    os.close(server)
    os.close(child)


def test_a_call_that_is_interrupted_ends_with_its_child(busy: _Busy, sandbox: Sandbox) -> None:
    child = os.pidfd_open(busy.child)
    sandbox.interrupt()
    assert _wait_for_end(child)
    os.close(child)
    with pytest.raises(SandboxFailed):
        busy.outcome.result()
    sandbox.interrupt()
    assert images.sniff(sandbox, JPEG) == "image/jpeg", "nothing was going on any more"


def test_a_forked_worker_gets_a_server_of_its_own() -> None:
    program = """
import os
from worker.sandbox import Sandbox
sandbox, empty = Sandbox(memory=2 << 30, seconds=30, output=0), os.memfd_create("empty")
sandbox.sniff(empty)
first = sandbox._server.pid
if os.fork() == 0:
    sandbox.sniff(empty)
    print(sandbox._server.pid != first, flush=True)
    sandbox.close()
    os._exit(0)
os.wait()
sandbox.sniff(empty)
print(sandbox._server.pid == first)
sandbox.close()
"""
    assert _run(program).split() == ["True", "True"]


def test_threads_wait_for_each_other(sandbox: Sandbox) -> None:
    with ThreadPoolExecutor(4) as threads:
        sniffed = [threads.submit(images.sniff, sandbox, JPEG) for _ in range(4)]
        remade = [threads.submit(images.remade, sandbox, JPEG, "image/jpeg") for _ in range(4)]
    assert {each.result() for each in sniffed} == {"image/jpeg"}
    assert len({each.result() for each in remade}) == 1


def test_the_decoder_gets_its_input_read_only_and_nobody_elses_position_moves() -> None:
    class Witness(Sandbox):
        def _run(self, request: Request, files: tuple[int, ...]) -> Ending:
            modes.append(fcntl.fcntl(files[0], fcntl.F_GETFL) & os.O_ACCMODE)
            return super()._run(request, files)

    modes: list[int] = []
    sandbox = Witness(memory=2 << 30, seconds=30, output=0)
    source = images.memfd(JPEG)
    os.lseek(source, 7, os.SEEK_SET)
    assert sandbox.sniff(source).type == "image/jpeg"
    assert os.lseek(source, 0, os.SEEK_CUR) == 7
    assert modes == [os.O_RDONLY]
    sandbox.close()
    os.close(source)


def test_files_on_disk_are_as_good_as_memory(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(JPEG)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("w+b") as target:
        assert isinstance(sandbox.reencode(source.fileno(), target.fileno(), "image/jpeg", images.LIMITS), Reencoded)
    assert images.psnr(images.decode((tmp_path / "out").read_bytes()), images.decode(JPEG)) > 32


def test_a_sandbox_without_room_is_not_made() -> None:
    with pytest.raises(ValueError, match="memory"):
        Sandbox(memory=64 << 20, seconds=30, output=0)


def test_only_images_are_re_encoded(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="text/plain"):
        images.remake(sandbox, b"", "text/plain")


def test_closing_twice_does_no_harm(sandbox: Sandbox) -> None:
    images.sniff(sandbox, JPEG)
    server = os.pidfd_open(_server(sandbox))
    sandbox.close()
    assert _wait_for_end(server)
    sandbox.close()
    os.close(server)
