"""The two walls that a kernel, or the container around it, may lack: made and tried once, by the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from py_landlock import RulesetFd

from worker.sandbox import landlock, privileges, seccomp

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Layers:
    """What each child puts up; None for what is missing."""

    landlock: RulesetFd | None
    seccomp: bytes | None  # the compiled filter
    missing: tuple[str, ...]  # names, and what is wrong, for whoever runs this machine


def prepare() -> Layers:
    """Starts a process to try each: a container's own filter may forbid what the kernel has."""
    missing: list[str] = []
    ruleset = _tried("Landlock", landlock.empty_ruleset, landlock.apply, missing)
    program = _tried("seccomp", seccomp.compiled, seccomp.apply, missing)
    return Layers(ruleset, program, tuple(missing))


def _tried(name: str, make: Callable[[], _Made], apply: Callable[[_Made], None], missing: list[str]) -> _Made | None:
    try:
        made = make()
        _try(lambda: apply(made))
    except OSError as fault:
        missing.append(f"{name} ({fault})")
        return None
    return made


def _try(wall: Callable[[], None]) -> None:
    """Raises `OSError` if a process of its own cannot put it up."""
    pid = os.fork()
    if pid == 0:
        try:
            privileges.win_no_new_ones()
            wall()
        except OSError as fault:
            os._exit(fault.errno or 1)
        os._exit(0)
    number = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if number != 0:
        raise OSError(number, os.strerror(number) if number > 0 else "the process that tried it was killed")
