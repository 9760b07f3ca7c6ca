"""What a process may do to others, and others to it: prctl(2) and capset(2)."""

from __future__ import annotations

import ctypes
import os
import signal
import struct

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h

_libc = ctypes.CDLL(None, use_errno=True)


def become_undumpable() -> None:
    """Nobody may trace this process or read its memory; a child may not do it to its server."""
    _prctl(_PR_SET_DUMPABLE, 0)


def win_no_new_ones() -> None:
    """Neither by set-user-id programs nor otherwise; seccomp and Landlock want that first."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Where the worker is root, the child is root in name only; with no_new_privs it cannot win them back."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    nothing = bytes(2 * 3 * 4)  # two words each of effective, permitted, inheritable
    _check(_libc.capset(header, nothing), "capset")


def die_with(parent: int) -> None:
    """Raises `ProcessLookupError` if `parent` has died already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise ProcessLookupError("the fork server died while this child was being born")


def _prctl(option: int, value: int) -> None:
    _check(_libc.prctl(option, value, 0, 0, 0), "prctl")


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call} failed")
