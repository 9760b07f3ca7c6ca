"""In which line of a TOML text a value stands: the standard library's parser forgets where it read them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

Path = Sequence[str | int]  # names of tables and keys, indexes of arrays


class Lines:
    """The lines of one text that can be parsed."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._statements = list(self._split())

    def of(self, path: Path) -> int:
        """The line, from 1, where the value at `path` begins; where there is none, that of the table that lacks it."""
        for length in range(len(path), 0, -1):
            for first, parsed in self._statements:
                if _holds(parsed, path[:length]):
                    return self._element(first, parsed, path[:length]) + 1
        return 1

    def _split(self) -> list[tuple[int, dict[str, Any]]]:
        """The first line of each statement, and everything that has been said by its end.

        A statement ends where everything up to there can be parsed. Policies are short, so the square of their length
        is no matter.
        """
        statements, first = [], 0
        for last in range(len(self._lines)):
            blank = not self._lines[last].strip() or self._lines[last].lstrip().startswith("#")
            if first == last and blank:
                first += 1
                continue
            try:
                parsed = tomllib.loads("\n".join(self._lines[: last + 1]))
            except tomllib.TOMLDecodeError:
                continue  # an array goes on in the next line
            statements.append((first, parsed))
            first = last + 1
        return statements

    def _element(self, first: int, parsed: dict[str, Any], path: Path) -> int:
        """Long arrays have a line for each element or so."""
        value = _at(parsed, path)
        if isinstance(path[-1], int) and isinstance(value, str):
            for at in range(first, len(self._lines)):
                if f'"{value}"' in self._lines[at] or f"'{value}'" in self._lines[at]:
                    return at
        return first


def _holds(parsed: Any, path: Path) -> bool:
    try:
        _at(parsed, path)
    except (LookupError, TypeError):
        return False
    return True


def _at(parsed: Any, path: Path) -> Any:
    for step in path:
        parsed = parsed[step]
    return parsed
