"""What a process has left once it is confined. Each case is a process of its own: there is no way back.

Wall by wall: `tests/service/test_sandbox_hostile.py` has all of them at once.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import pyseccomp
import pytest

from worker.sandbox import layers
from worker.sandbox.confinement import close_in, withdraw
from worker.sandbox.layers import Layers

MEMORY = 64 << 30  # bytes of address space: this process has imported much
WALLS = layers.prepare()
NONE = Layers(None, None, ())
LANDLOCK, SECCOMP = Layers(WALLS.landlock, None, ()), Layers(None, WALLS.seccomp, ())


class _Ended(NamedTuple):
    """How the process ended, negative by a signal, and what its program returned."""

    status: int
    said: Any


def _confined(program: Callable[[int], object], *, threads: bool = True, walls: Layers = NONE) -> _Ended:
    """Run in a process of its own; the program is given the one descriptor that is kept."""

    def confine_and_run(reply: int) -> object:
        withdraw(walls, reply)
        close_in(walls, memory=MEMORY, seconds=7, output=5000, threads=threads)
        return program(reply)

    return _forked(confine_and_run)


def _forked(program: Callable[[int], object]) -> _Ended:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _say_and_end(program, writer)
    os.close(writer)
    with os.fdopen(reader) as replies:
        said = replies.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return _Ended(status, json.loads(said) if said else None)


def _say_and_end(program: Callable[[int], object], writer: int) -> NoReturn:
    """Nothing of the test runner may go on in this process."""
    try:
        os.write(writer, json.dumps(program(writer)).encode())
    except BaseException as fault:  # noqa: BLE001 - the test sees it
        os.write(writer, json.dumps(repr(fault)).encode())
        os._exit(1)
    os._exit(0)


def test_limits_cannot_be_raised_again() -> None:
    def look(_: int) -> object:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (2 * MEMORY, 2 * MEMORY))
        except ValueError:
            names = ("RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_NOFILE")
            return [resource.getrlimit(getattr(resource, name)) for name in names]
        return "raised"

    assert _confined(look).said == [[MEMORY, MEMORY], [5000, 5000], [0, 0], [15, 20], [32, 32]]


def test_only_what_is_kept_stays_open() -> None:
    secret = os.open("/etc/passwd", os.O_RDONLY)

    def look(kept: int) -> object:
        others = [fd for fd in range(3, 1000) if fd != kept and os.path.exists(f"/proc/self/fd/{fd}")]  # noqa: PTH110
        return [others, os.getsid(0) == os.getpid()]

    assert _confined(look).said == [[], True]
    os.close(secret)


def test_no_privilege_is_left_nor_comes_back() -> None:
    def look(_: int) -> object:
        with open("/proc/self/status") as file:  # noqa: PTH123
            status = dict(line.split(":", 1) for line in file)
        privileges = [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh")]
        return [status["NoNewPrivs"].strip(), privileges, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]

    assert _confined(look).said == ["1", [0, 0, 0], 0]


def test_files_cannot_grow_beyond_the_limit() -> None:
    assert _confined(lambda _: os.ftruncate(os.memfd_create("x"), 5000)).status == 0
    assert _confined(lambda _: os.ftruncate(os.memfd_create("x"), 5001)).status == -signal.SIGXFSZ


def test_a_sniffing_child_starts_no_process_and_no_thread() -> None:
    """Unless it is root, whom the kernel exempts; but not even root raises the limit again."""
    assert _confined(lambda _: resource.getrlimit(resource.RLIMIT_NPROC), threads=False).said == [0, 0]


def test_this_machine_lacks_no_layer() -> None:
    assert WALLS.missing == ()


@pytest.mark.parametrize("walls", [LANDLOCK, SECCOMP])
def test_either_wall_alone_closes_the_file_system(walls: Layers) -> None:
    def refused(path: str, flags: int) -> bool:
        try:
            os.open(path, flags)
        except PermissionError:
            return True
        return False

    attempts = [
        ("/etc/passwd", os.O_RDONLY),
        ("/dev/null", os.O_WRONLY),
        ("/", os.O_DIRECTORY),
        ("/tmp/made", os.O_CREAT),
    ]
    assert _confined(lambda _: [refused(*attempt) for attempt in attempts], walls=walls).said == [True] * 4


def test_landlock_alone_closes_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        ended = _confined(lambda _: socket.create_connection(address), walls=LANDLOCK)
    assert "PermissionError" in ended.said


def test_seccomp_alone_ends_whoever_asks_for_more() -> None:
    assert _confined(lambda _: os.fork(), walls=SECCOMP).status == -signal.SIGSYS
    assert _confined(lambda _: threading.Thread(target=int).start(), walls=SECCOMP).status == 0


@pytest.mark.parametrize(
    ("forbidden", "named"),
    [
        ((pyseccomp.ERRNO(38), "landlock_create_ruleset"), "Landlock (Landlock syscalls not available"),
        ((pyseccomp.ERRNO(1), "landlock_restrict_self"), "Landlock ([Errno 1]"),
        ((pyseccomp.ERRNO(22), "prctl", pyseccomp.Arg(0, pyseccomp.EQ, 22)), "seccomp ([Errno 22]"),
    ],
)
def test_a_kernel_without_a_layer_is_named(forbidden: tuple[Any, ...], named: str) -> None:
    """As in a container whose own filter forbids it."""

    def look(_: int) -> object:
        container = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        container.add_rule(*forbidden)
        container.load()
        return layers.prepare().missing

    (missing,) = _forked(look).said
    assert missing.startswith(named)
