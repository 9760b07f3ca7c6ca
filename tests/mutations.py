"""Real files, broken as decoders fear it: flipped, cut, lied about their lengths, grown together with other files."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

_LONGEST = 4096  # bytes of one chunk that is moved
_MOST = 3  # changes of one file; more, and nothing but the first is ever looked at
_GRAIN = 1 << 16  # places are parts of the file, so that a change means the same in a shorter one
_LIES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


class Change(NamedTuple):
    """One thing done to a file."""

    how: Callable[[bytes, int, Change], bytes]
    place: int  # of `_GRAIN`
    length: int  # bytes
    number: int
    other: bytes  # another file

    def to(self, data: bytes) -> bytes:
        """The file, changed."""
        return self.how(data, len(data) * self.place // _GRAIN, self)


def _flip(data: bytes, at: int, change: Change) -> bytes:
    return data[:at] + bytes(each ^ (1 << change.number % 8) for each in data[at : at + 1]) + data[at + 1 :]


def _overwrite(data: bytes, at: int, change: Change) -> bytes:
    return data[:at] + bytes([change.number % 256]) * min(change.length, 16) + data[at + min(change.length, 16) :]


def _lie(data: bytes, at: int, change: Change) -> bytes:
    """Whatever length stands there, in either byte order, is another one now."""
    form = (">I", "<I", ">H", "<H")[change.length % 4]
    lie = struct.pack(form, _LIES[change.number % len(_LIES)] & (0xFFFFFFFF if form[1] == "I" else 0xFFFF))
    return data[:at] + lie + data[at + len(lie) :]


def _cut_out(data: bytes, at: int, change: Change) -> bytes:
    return data[:at] + data[at + change.length :]


def _cut_off(data: bytes, at: int, change: Change) -> bytes:
    return data[:at]


def _double(data: bytes, at: int, change: Change) -> bytes:
    return data[: at + change.length] + data[at:]


def _swap(data: bytes, at: int, change: Change) -> bytes:
    middle, end = at + change.length, at + 2 * change.length
    return data[:at] + data[middle:end] + data[at:middle] + data[end:]


def _insert(data: bytes, at: int, change: Change) -> bytes:
    return data[:at] + change.other + data[at:]


def _splice(data: bytes, at: int, change: Change) -> bytes:
    return data[:at] + change.other[len(change.other) * change.number % max(1, len(change.other)) :]


_WAYS = (_flip, _overwrite, _lie, _cut_out, _cut_off, _double, _swap, _insert, _splice)


def mutants(seeds: Sequence[bytes], others: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Files that were one of `seeds` once. `others`: what they may be grown together with."""
    anywhere = st.integers(0, _GRAIN - 1).map(_scattered)
    places = anywhere | anywhere.map(lambda place: place // 16)  # most of what can be broken stands in front
    change = st.builds(
        Change,
        how=st.sampled_from(_WAYS),
        place=places,
        length=st.integers(1, _LONGEST) | st.integers(1, 32),
        number=st.integers(0, 255),
        other=st.sampled_from(others),
    )
    return st.builds(_changed, st.sampled_from(seeds), st.lists(change, min_size=1, max_size=_MOST))


def _scattered(number: int) -> int:
    """Hypothesis likes nothing better than zero; but a file that is broken in its very first bytes is just unknown."""
    return (number * 40_503 + 20_011) % _GRAIN


def _changed(data: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        data = change.to(data)
    return data
