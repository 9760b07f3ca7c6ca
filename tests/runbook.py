"""What `ops/runbook.md` consists of: sections, their fenced blocks, and the commands in them."""

from __future__ import annotations

import re
from typing import NamedTuple

from worker.settings import REPOSITORY

TEXT = (REPOSITORY / "ops" / "runbook.md").read_text()
_SERVING = re.compile(r"celery |lazaretto sweep --every ")  # they run until they are asked to stop


class Command(NamedTuple):
    """A line of a fenced block."""

    section: str
    text: str


def sections() -> dict[str, str]:
    """By heading."""
    pieces = re.split(r"^## (.+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def blocks(text: str) -> list[str]:
    """The shell's, each as it stands."""
    return re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def anchor(heading: str) -> str:
    """As GitHub makes them: lower case, without punctuation, dashes for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _commands() -> list[Command]:
    """Each once."""
    lines = (
        Command(name, line)
        for name, text in sections().items()
        for block in blocks(text)
        for line in block.splitlines()
    )
    return list({command.text: command for command in lines}.values())


PRELUDE = blocks(TEXT)[0]  # what stands before all others
COMMANDS = [each for each in _commands() if not _SERVING.match(each.text)]
SERVERS = [each for each in _commands() if _SERVING.match(each.text)]
