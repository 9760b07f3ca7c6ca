"""A hijacked decoder: code of an attacker's in a real child of the sandbox. Each attempt is stopped, and named."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import images
from worker.errors import SandboxFailed
from worker.sandbox import Reencoded, Refused, Sandbox, launcher
from worker.scan import ReasonCode
from worker.scratch import Scratch

HIJACKED = """
import socket, sys
sys.path.insert(0, sys.argv[1])
import ctypes, mmap, os, resource, signal, threading
from worker.sandbox import child, server

libc = ctypes.CDLL(None, use_errno=True)

def say(*words):
    raise RuntimeError(*words)

def hijacked(request, database, files):
    source, target = files
    exec(os.pread(source, 10000, 0), globals() | locals())

child._answer = hijacked
server.serve(socket.socket(fileno=int(sys.argv[2])))
"""
OUTPUT = 64 << 20

KILLED = "system call"
ENDED = {
    "reads the status of a file": ("os.stat('/etc/passwd')", KILLED),
    "opens a socket": ("socket.socket()", KILLED),
    "opens a local socket": ("socket.socketpair()", KILLED),
    "forks": ("os.fork()", KILLED),
    "forks by hand": ("libc.syscall(57)", KILLED),
    "runs a shell": ("os.execv('/bin/sh', ['sh'])", KILLED),
    "spawns a shell": ("os.posix_spawn('/bin/sh', ['sh'], {})", KILLED),
    "runs a command": ("os.system('id')", KILLED),
    "imports a module": ("import sqlite3", KILLED),
    "ends its server": ("libc.kill(1, 9)", KILLED),
    "looks into another process": ("libc.ptrace(16, 1, 0, 0)", KILLED),
    "reads another's memory": ("libc.process_vm_readv(1, None, 0, None, 0, 0)", KILLED),
    "makes a file in memory": ("os.memfd_create('x')", KILLED),
    "leaves by a namespace": ("libc.unshare(0x10000000)", KILLED),
    "gives itself more": ("resource.setrlimit(resource.RLIMIT_CPU, (99, 99))", KILLED),
    "writes code and runs it": ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)", KILLED),
    "sets up io_uring": ("libc.syscall(425, 8, 0)", KILLED),
    "loads a program into the kernel": ("libc.syscall(321, 5, 0, 0)", KILLED),
    "opens a file": ("open('/etc/passwd')", "PermissionError"),
    "lists a folder": ("os.listdir('/')", "PermissionError"),
    "makes a file": ("os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)", "PermissionError"),
    "opens its environment": ("open('/proc/self/environ')", "PermissionError"),
    "opens its input for writing": ("os.open(f'/proc/self/fd/{source}', os.O_RDWR)", "PermissionError"),
    "writes to its input": ("os.write(source, b'x')", "Bad file descriptor"),
    "cuts its input": ("os.ftruncate(source, 0)", "Invalid argument"),
    "maps its input for writing": ("mmap.mmap(source, 5)", "PermissionError"),
    "allocates 10 GiB": ("bytearray(10 << 30)", "MemoryError"),
    "starts threads without end": (
        "while True: threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "start new thread",
    ),
    "writes a long story": ("say('x' * 10 ** 7)", "xxxx"),
}
REFUSED = {
    "spins": ("while True: pass", ReasonCode.SCAN_TIMED_OUT, "took too long"),
    "sleeps": ("threading.Event().wait()", ReasonCode.SCAN_TIMED_OUT, "took too long"),
    "writes 10 GiB": (
        "while True: os.write(target, bytes(1 << 20))",
        ReasonCode.IMAGE_UNDECODABLE,
        "larger than one image",
    ),
    "reserves 10 GiB": ("os.ftruncate(target, 10 << 30)", ReasonCode.IMAGE_UNDECODABLE, "larger than one image"),
    "crashes": ("ctypes.string_at(0)", ReasonCode.IMAGE_UNDECODABLE, "crashed"),
    "aborts": ("libc.abort()", ReasonCode.IMAGE_UNDECODABLE, "crashed"),
}


@pytest.fixture(scope="module")
def hijacked() -> Iterator[Sandbox]:
    """A sandbox whose decoder does what the file says; in all else the real one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launcher, "start", functools.partial(launcher.start, boot=HIJACKED))
        sandbox = Sandbox(memory=1 << 30, seconds=3, output=OUTPUT, every_layer=True)
        yield sandbox
        sandbox.close()


def _decode(sandbox: Sandbox, code: str) -> Reencoded | Refused:
    """What the worker makes of a file that has taken over its decoder."""
    source, target = images.memfd(code.encode()), images.memfd()
    try:
        return sandbox.reencode(source, target, "image/jpeg", images.LIMITS)
    finally:
        assert os.pread(source, 10000, 0) == code.encode(), "the scanner reads the same file"
        os.close(source)
        os.close(target)


@pytest.mark.parametrize("attempt", ENDED)
def test_an_attempt_ends_as_an_outage_that_names_it(hijacked: Sandbox, attempt: str) -> None:
    """Not as a verdict: the file is held for an operator, and whoever watches hears of it."""
    code, named = ENDED[attempt]
    with pytest.raises(SandboxFailed, match=named):
        _decode(hijacked, code)


@pytest.mark.parametrize("attempt", REFUSED)
def test_what_only_harms_itself_is_a_finding_about_the_file(hijacked: Sandbox, attempt: str) -> None:
    code, reason, named = REFUSED[attempt]
    outcome = _decode(hijacked, code)
    assert isinstance(outcome, Refused)
    assert outcome.code is reason
    assert named in outcome.message


def test_nothing_of_the_workers_world_is_there(hijacked: Sandbox) -> None:
    look = "say(sorted(os.environ), len(os.environ), sum(libc.fcntl(fd, 1) >= 0 for fd in range(3, 99)) - len(files))"
    nothing_else = f"({sorted(launcher.ENVIRONMENT)}, {len(launcher.ENVIRONMENT)}, 1)"
    with pytest.raises(SandboxFailed, match=re.escape(nothing_else)):
        _decode(hijacked, look)


GOES_ON = """
link = next(fd for fd in range(3, 99) if fd not in files and libc.fcntl(fd, 1) >= 0)
os.write(target, b"first")
os.write(link, b"\\0" + child.replies.pack(child.images.Reencoded("image/jpeg", 1, 1, 1, 1, 1)))
while True:
    os.pwrite(target, os.urandom(5), 0)
"""


@pytest.mark.parametrize("memory_limit", [0, 100], ids=["disk", "memory"])
def test_who_answers_and_goes_on_writing_changes_nothing_once_it_is_frozen(
    hijacked: Sandbox, tmp_path: Path, memory_limit: int
) -> None:
    """The answer is passed on before the child has died: what is examined is what lies there once it is frozen."""
    source = images.memfd(GOES_ON.encode())
    for _ in range(20):
        with Scratch(5, memory_limit=memory_limit, directory=tmp_path) as target:
            outcome = hijacked.reencode(source, target.descriptor, "image/jpeg", images.LIMITS)
            assert isinstance(outcome, Reencoded)
            target.freeze(shared=True)
            examined = target.sha256()
            assert hijacked.missing_layers() == ()
            assert target.sha256() == examined
    os.close(source)
