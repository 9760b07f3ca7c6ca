"""What a process has left once it is confined. Each case is a process of its own: there is no way back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from worker.sandbox import confinement

ROOT = str(Path(confinement.__file__).parents[2])
SETUP = f"""
import sys; sys.path.insert(0, {ROOT!r})
import ctypes, json, os, resource
from worker.sandbox.confinement import confine
reply, secret = os.dup(1), os.open("/etc/passwd", os.O_RDONLY)
def say(**words): os.write(reply, json.dumps(words).encode())
confine(memory=1 << 30, seconds=7, output=5000, threads=THREADS, keep=[reply])
"""


def _confined(program: str, *, threads: bool = True) -> subprocess.CompletedProcess[str]:
    program = SETUP.replace("THREADS", str(threads)) + program
    return subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=30)


def _says(program: str, *, threads: bool = True) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_confined(program, threads=threads).stdout)
    return answer


def test_limits_cannot_be_raised_again() -> None:
    said = _says("""
limits = {name: resource.getrlimit(getattr(resource, name)) for name in dir(resource) if name.startswith("RLIMIT_")}
try:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    raised = True
except ValueError:
    raised = False
say(limits=limits, raised=raised)
""")
    limits = said["limits"]
    assert limits["RLIMIT_AS"] == [1 << 30, 1 << 30]
    assert limits["RLIMIT_FSIZE"] == [5000, 5000]
    assert limits["RLIMIT_CORE"] == [0, 0]
    assert limits["RLIMIT_CPU"] == [15, 20]
    assert not said["raised"]


def test_only_what_is_kept_stays_open() -> None:
    said = _says("""
open_files = [fd for fd in range(1000) if os.path.exists(f"/proc/self/fd/{fd}")]
say(files=open_files, kept=reply, secret=secret, leads=os.getsid(0) == os.getpid())
""")
    assert said["files"] == [0, 1, 2, said["kept"]]
    assert said["secret"] not in said["files"]
    assert said["leads"]


def test_no_privilege_is_left_nor_comes_back() -> None:
    said = _says("""
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
say(**{name: status[name].strip() for name in ("NoNewPrivs", "CapEff", "CapPrm", "CapInh")},
    dumpable=ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
""")
    assert said.pop("NoNewPrivs") == "1"
    assert said.pop("dumpable") == 0
    assert {int(value, 16) for value in said.values()} == {0}


def test_files_cannot_grow_beyond_the_limit() -> None:
    assert _confined("os.ftruncate(os.memfd_create('x'), 5000)").returncode == 0
    assert _confined("os.ftruncate(os.memfd_create('x'), 5001)").returncode == -signal.SIGXFSZ


def test_a_sniffing_child_starts_no_process_and_no_thread() -> None:
    """Unless it is root, whom the kernel exempts; but not even root raises the limit again."""
    said = _says("say(limit=resource.getrlimit(resource.RLIMIT_NPROC))", threads=False)
    assert said["limit"] == [0, 0]
