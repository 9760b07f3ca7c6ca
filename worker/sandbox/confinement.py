"""Lock this process in. Runs in the child, after the fork and before the first untrusted byte."""

from __future__ import annotations

import math
import os
import resource
import signal

from worker.sandbox import landlock, privileges, seccomp
from worker.sandbox.layers import Layers

_DESCRIPTORS = 32  # libvips needs a handful
_THREADS = 2  # that work at a time: libvips decodes in one and writes in another
_HARD_CPU_GRACE = 5  # seconds between the signal that says why and the one that cannot be caught


def withdraw(walls: Layers, keep: int) -> None:
    """At birth: give up all but the descriptor `keep` and the standard ones, which are made /dev/null.

    Raises `OSError` if any of it fails: then nothing may run.
    """
    server = os.getppid()
    os.setsid()
    _restore_signals()
    privileges.win_no_new_ones()
    if walls.landlock is not None:
        landlock.apply(walls.landlock)
    _close_others(keep)
    privileges.drop_capabilities()
    privileges.become_undumpable()
    privileges.die_with(server)


def close_in(walls: Layers, *, memory: int, seconds: float, output: int, threads: bool) -> None:
    """The limits of one call, and the last wall: behind it no call to the kernel is left but those for decoding.

    memory: bytes of address space. seconds: wall clock, enforced by the server; processor time follows from it.
    output: bytes, the largest size a file may reach. threads: may it start any?
    Raises `OSError` if any of it fails: then nothing may run.
    """
    _set_limits(memory, seconds, output, threads=threads)
    if walls.seccomp is not None:
        seccomp.apply(walls.seccomp)


def _restore_signals() -> None:
    """Python ignores SIGXFSZ; here it is to end the child, and to say that the output was too large."""
    for number in (signal.SIGXFSZ, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _close_others(keep: int) -> None:
    os.dup2(1, 2)  # decoders talk to stderr, and what they say is the file's
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))


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
