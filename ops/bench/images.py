"""Megapixels per second through the sandbox, from its fork to the end of its child, beside bare libvips."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterable, Iterator

from ops.bench.bare_vips import BareVips
from ops.bench.in_process import LIMITS, memory_file
from ops.bench.pictures import MEDIA_TYPES, picture
from ops.bench.row import Better, Row
from worker.sandbox import Sandbox
from worker.settings import MIB

FORMATS = ("JPEG", "PNG", "WEBP")
SIZES = ((1280, 960), (4000, 3000))  # a picture for the web, and a phone's 12 megapixels
_TARGET = 0.85


def rows(rounds: int, sizes: Iterable[tuple[int, int]] = SIZES) -> Iterator[Row]:
    """For each format and size, medians of both in turns, after one that warms both up; and all of them together."""
    sandbox = Sandbox(memory=4096 * MIB, seconds=60, output=512 * MIB)
    pixels, ours, floor = 0.0, 0.0, 0.0
    try:
        with BareVips.running() as bare:
            for kind in FORMATS:
                for width, height in sizes:
                    data, megapixels = picture(kind, width, height), width * height / 1e6
                    taken, least = _medians(sandbox, bare, data, MEDIA_TYPES[kind], rounds)
                    yield _row(f"{kind} of {width}x{height}", megapixels, taken, least)
                    pixels, ours, floor = pixels + megapixels, ours + taken, floor + least
    finally:
        sandbox.close()
    yield _row("all of these", pixels, ours, floor)


def _row(name: str, megapixels: float, seconds: float, floor: float) -> Row:
    return Row(f"images: {name}", megapixels / seconds, "MP/s", megapixels / floor, Better.HIGHER, _TARGET)


def _medians(sandbox: Sandbox, bare: BareVips, data: bytes, media_type: str, rounds: int) -> tuple[float, float]:
    """Seconds."""
    pairs = [(_seconds(sandbox, data, media_type), bare.seconds(data, media_type)) for _ in range(rounds + 1)]
    ours, floor = zip(*pairs[1:], strict=True)
    return statistics.median(ours), statistics.median(floor)


def _seconds(sandbox: Sandbox, data: bytes, media_type: str) -> float:
    """Also what leads to the sandbox and back: files in memory, messages."""
    begun = time.perf_counter()
    source, target = memory_file(data), memory_file()
    sandbox.reencode(source, target, media_type, LIMITS)
    os.close(source)
    os.close(target)
    return time.perf_counter() - begun
