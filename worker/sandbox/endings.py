"""What the end of a child means: its answer, a finding about the file, or an outage."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from enum import StrEnum

from worker.errors import SandboxFailed
from worker.sandbox import replies
from worker.sandbox.answers import Refused
from worker.sandbox.refusal import undecodable
from worker.sandbox.replies import Answer
from worker.sandbox.wire import Ending, Fate, Request
from worker.scan import ReasonCode

_LIMITS: Mapping[int, str] = {  # what the kernel sends where a child goes over a limit of its own
    signal.SIGXCPU: "it takes more processor time than one image may use",
    signal.SIGXFSZ: "its re-encoded form is larger than one image may become",
}


class Kill(StrEnum):
    """Why a process of the sandbox did not end by itself."""

    TIME = "time"  # it ran for too long
    PROCESSOR_TIME = "processor_time"
    OUTPUT = "output"
    FORBIDDEN_CALL = "forbidden_call"  # what no decoder does: the file may have taken it over
    CRASH = "crash"
    SOMEBODY_ELSE = "somebody_else"  # an operator, or the kernel of a full machine
    SERVER_LOST = "server_lost"
    INTERRUPTED = "interrupted"  # by ourselves: its scan had to end


_KILLS: Mapping[int, Kill] = {
    signal.SIGXCPU: Kill.PROCESSOR_TIME,
    signal.SIGXFSZ: Kill.OUTPUT,
    signal.SIGSYS: Kill.FORBIDDEN_CALL,
    signal.SIGKILL: Kill.SOMEBODY_ELSE,
    signal.SIGTERM: Kill.SOMEBODY_ELSE,
}


def kill(ending: Ending) -> Kill | None:
    """Why it was killed; None: it was not."""
    if ending.fate is Fate.TIMED_OUT:
        return Kill.TIME
    return _KILLS.get(ending.number, Kill.CRASH) if ending.fate is Fate.SIGNALLED else None


def answer(request: Request, ending: Ending) -> Answer:
    """Raises `SandboxFailed` for an end that says nothing about the file."""
    if ending.fate is Fate.EXITED and ending.number == 0:
        return replies.unpack(request, ending.untrusted_reply)
    if ending.fate is Fate.TIMED_OUT:
        message = f"re-encoding the image took too long, expected at most {request.seconds:g} seconds"
        return Refused(ReasonCode.SCAN_TIMED_OUT, message)
    if ending.fate is Fate.EXITED:
        untrusted_words = ending.untrusted_reply[:300].decode(errors="replace")
        raise SandboxFailed(f"the sandbox failed ({untrusted_words!r}); trying again can help")
    return _by_signal(ending.number)


def _by_signal(number: int) -> Refused:
    if number in (signal.SIGKILL, signal.SIGTERM):  # no decoder does that to itself: an operator, or a full machine
        raise SandboxFailed("somebody else killed the sandbox; trying again can help")
    if number == signal.SIGSYS:  # a hijacked decoder, or a library that has learned a new call: the file is held
        raise SandboxFailed("the sandbox was ended for a system call that no decoder makes; trying again can help")
    crash = f"the decoder crashed on it ({signal.strsignal(number)})"
    return undecodable(_LIMITS.get(number, crash)).refused
