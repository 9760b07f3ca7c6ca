"""Writing `.env` files that both a shell and python-dotenv read the same way."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


def as_dotenv(values: Mapping[str, str]) -> str:
    """One `NAME=value` a line. Raises `ValueError` for a value that one of the readers would change."""
    return "".join(f"{name}={_quoted(name, value)}\n" for name, value in values.items())


def _quoted(name: str, value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or "\\" in value or "\n" in value or "${" in value:
        # In single quotes a shell takes everything literally, python-dotenv backslashes and ${…} not.
        raise ValueError(f"{name} contains a quote, a backslash, a line break or ${{, which .env files cannot carry")
    return f"'{value}'"
