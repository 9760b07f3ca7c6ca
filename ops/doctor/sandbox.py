"""The sandbox: do its walls stand on this machine, and does it work behind them?"""

from __future__ import annotations

from ops.doctor.check import Check, Finding, danger, fail, ok
from ops.doctor.subject import Subject
from worker.sandbox import Sandbox
from worker.scratch import Scratch

_TEXT = b"A lazaretto is the island where arriving ships wait until they are proven clean.\n"
_ITS_TYPE = "text/plain"


def _walls(subject: Subject) -> Finding:
    settings = subject.settings
    sandbox = Sandbox(memory=settings.sandbox_memory, seconds=settings.sandbox_seconds, output=settings.sandbox_output)
    try:
        missing = sandbox.missing_layers()
        seen = _sniffed(sandbox)
    finally:
        sandbox.close()
    if missing:
        return danger(subject, f"missing: {', '.join(missing)}")
    if seen != _ITS_TYPE:
        return fail(f"it takes plain text for {seen}")
    return ok("Landlock and seccomp stand, and it tells what a file is")


def _sniffed(sandbox: Sandbox) -> str:
    with Scratch(len(_TEXT), memory_limit=len(_TEXT), directory=None) as file:
        file.write(_TEXT)
        file.freeze()
        return str(sandbox.sniff(file.descriptor).type)


CHECKS = (
    Check(
        name="sandbox",
        what="what files are parsed in, on this machine",
        expected="every layer of confinement, and a right answer",
        mend="a kernel from 5.13 on, and a container whose own filter allows Landlock and seccomp",
        look=_walls,
        seconds=60,
    ),
)
