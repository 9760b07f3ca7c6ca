"""Records as tables. Every text that came with a file is hostile: shown without control characters or markup."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_FILE_WIDTH = 160  # columns, where no terminal says
_COLOURS = {
    "clean": "green",
    "released": "green",
    "infected": "bold red",
    "rejected": "red",
    "unscannable": "yellow",
    "failed": "bold yellow",
}


def inert(text: str) -> str:
    """Text that moves no cursor and hides nothing (control characters, line breaks, bidirectional overrides)."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def console() -> Console:
    """Standard output: as wide as the terminal, or wide enough for whatever reads it."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)


def show(scans: Iterable[dict[str, Any]], target: Console) -> None:
    """One line a scan: file, size, type, outcome, why."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("FILE", "SIZE", "TYPE", "OUTCOME", "WHY", "ID"):
        whole = heading in ("SIZE", "OUTCOME", "ID")
        table.add_column(heading, overflow="fold", no_wrap=whole, justify="right" if heading == "SIZE" else "left")
    for scan in scans:
        status = str(scan["status"])
        table.add_row(
            Text(inert(scan["filename"]) or "(no name)"),
            "" if scan["size"] is None else f"{scan['size']:,}",
            Text(inert(scan["detected_type"] or scan["declared_type"] or "")),
            Text(status, style=_COLOURS.get(status, "")),
            Text(inert(_why(scan))),
            scan["id"],
        )
    target.print(table)


def _why(scan: dict[str, Any]) -> str:
    codes = list(dict.fromkeys(reason["code"] for reason in scan["reasons"]))
    if scan["error"]:
        codes.append(scan["error"]["message"])
    return ", ".join(scan["signatures"] + [code for code in codes if code != "signature_found"])
