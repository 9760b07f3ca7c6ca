"""In which line of a TOML text a value stands: the standard library's parser forgets where it read them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]  # names of tables and keys, indexes of arrays


class Lines:
    """The lines of one text that can be parsed. Takes time in proportion to it: everybody waits who asks for rules."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")  # TOML knows no other line ends; strings may hold them
        self._places: dict[Path, tuple[int, Any]] = {}
        for first, parsed in self._statements():
            for path, value in _all_in(parsed, ()):
                self._places.setdefault(path, (first, value))

    def of(self, path: Path) -> int:
        """The line, from 1, where the value at `path` begins; where there is none, that of the table that lacks it."""
        for length in range(len(path), 0, -1):
            if found := self._places.get(path[:length]):
                return self._element(*found, path[:length]) + 1
        return 1

    def _statements(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The first line of each, and what it says, within its table. It ends where it can be parsed."""
        header, first = "", 0
        for last in range(len(self._lines)):
            blank = not self._lines[last].strip() or self._lines[last].lstrip().startswith("#")
            if first == last and blank:
                first += 1
                continue
            text = "\n".join(self._lines[first : last + 1])
            if text.lstrip().startswith("["):
                header = text
            try:
                parsed = tomllib.loads(text if text is header else f"{header}\n{text}")
            except tomllib.TOMLDecodeError:
                continue  # an array goes on in the next line
            yield first, parsed
            first = last + 1

    def _element(self, first: int, value: Any, path: Path) -> int:
        """Long arrays have a line for each element or so."""
        if isinstance(path[-1], int) and isinstance(value, str):
            for at in range(first, len(self._lines)):
                if f'"{value}"' in self._lines[at] or f"'{value}'" in self._lines[at]:
                    return at
        return first


def _all_in(parsed: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Every value in there, with the way to it."""
    inner = parsed.items() if isinstance(parsed, dict) else enumerate(parsed) if isinstance(parsed, list) else ()
    for name, value in inner:
        yield (*path, name), value
        yield from _all_in(value, (*path, name))
