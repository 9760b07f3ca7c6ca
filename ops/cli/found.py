"""What a choice leads to: the scans as they are when a command begins."""

from __future__ import annotations

from typing import Any

from lazaretto_client import Lazaretto
from ops.cli.choice import Choice

_PAGE = 200  # the largest there is


def ids(lazaretto: Lazaretto, choice: Choice, **narrower: Any) -> list[str]:
    """All of them, newest first; those that are erased already have nothing left to act on."""
    found = lazaretto.scans(**choice.filters | narrower, limit=_PAGE)
    return [scan.id for scan in found if scan.status != "erased"]
