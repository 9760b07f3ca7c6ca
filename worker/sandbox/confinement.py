"""Lock this process in. Runs in the child, after the fork and before the first untrusted byte.

Seccomp and Landlock belong at the end of `confine`, where everything else is already given up.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import struct
from collections.abc import Iterable

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
_DESCRIPTORS = 32  # libvips needs a handful
_THREADS = 2  # VIPS_CONCURRENCY
_HARD_CPU_GRACE = 5  # seconds between the signal that says why and the one that cannot be caught

_libc = ctypes.CDLL(None, use_errno=True)


def become_undumpable() -> None:
    """Nobody may trace this process or read its memory; a child may not do it to its server."""
    _prctl(_PR_SET_DUMPABLE, 0)


def confine(*, memory: int, seconds: float, output: int, threads: bool, keep: Iterable[int]) -> None:
    """Give up everything but the descriptors `keep` and the standard ones, which are made /dev/null.

    memory: bytes of address space. seconds: wall clock, enforced by the server; processor time follows from it.
    output: bytes, the largest size a file may reach. threads: may it start any?
    Raises `OSError` if any of it fails: then nothing may run.
    """
    server = os.getppid()
    os.setsid()
    _restore_signals()
    _close_others(keep)
    _set_limits(memory, seconds, output, threads=threads)
    _drop_capabilities()
    become_undumpable()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != server:
        raise ProcessLookupError("the fork server died while this child was being born")


def _restore_signals() -> None:
    """Python ignores SIGXFSZ; here it is to end the child, and to say that the output was too large."""
    for number in (signal.SIGXFSZ, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _close_others(keep: Iterable[int]) -> None:
    os.dup2(1, 2)  # decoders talk to stderr, and what they say is the file's
    last = 2
    for descriptor in sorted(keep):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))


def _set_limits(memory: int, seconds: float, output: int, *, threads: bool) -> None:
    cpu = math.ceil(_THREADS * seconds) + 1  # so the wall clock wins, whose verdict holds the file for an operator
    limits = {
        resource.RLIMIT_AS: (memory, memory),
        resource.RLIMIT_CPU: (cpu, cpu + _HARD_CPU_GRACE),
        resource.RLIMIT_FSIZE: (output, output),
        resource.RLIMIT_NOFILE: (_DESCRIPTORS, _DESCRIPTORS),
        resource.RLIMIT_CORE: (0, 0),
    }
    if not threads:  # the limit counts all tasks of the user, so there is no useful number but none
        limits[resource.RLIMIT_NPROC] = (0, 0)
    for limit, values in limits.items():
        resource.setrlimit(limit, values)


def _drop_capabilities() -> None:
    """Where the worker is root, the child is root in name only; with no_new_privs it cannot win them back."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    nothing = bytes(2 * 3 * 4)  # two words each of effective, permitted, inheritable
    _check(_libc.capset(header, nothing), "capset")


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, value, 0, 0, 0), "prctl")


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call} failed")
