"""TIFF: every page is decoded and encoded by itself, so pages may differ in size, colours and depth."""

from __future__ import annotations

from typing import Any

from PIL.TiffImagePlugin import AppendingTiffWriter

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.formats.tiff_pages import Pages
from worker.sandbox.refusal import check_frames

_WHOLE_NUMBERS = ("uchar", "ushort")


class _Writer(AppendingTiffWriter):
    """Pillow's, but it remembers where the chain of pages ends instead of following it anew for each page."""

    _end = 0

    def skipIFDs(self) -> None:  # noqa: N802 - Pillow's name
        if self._end:
            self.f.seek(self._end)
        super().skipIFDs()
        self._end = self.whereToWriteNewIFDOffset or 0


def reencode(source: int, target: int, limits: ImageLimits) -> Reencoded:
    """The first page is streamed; of the others, one at a time is in memory, compressed."""
    pages = Pages(source, at_most=limits.max_frames)
    check_frames(len(pages), limits)
    first = _page(pages, 0, limits)
    vips.save(first, "tiffsave", target, **_options(first))
    if len(pages) > 1:
        _append(pages, target, limits)
    return Reencoded("image/tiff", first.width, first.height, len(pages))


def _append(pages: Pages, target: int, limits: ImageLimits) -> None:
    with open(target, "r+b", closefd=False) as out:
        out.seek(0)
        with _Writer(out) as writer:
            for number in range(1, len(pages)):
                page = _page(pages, number, limits)
                writer.write(page.tiffsave_buffer(keep="none", **_options(page)))
                writer.newFrame()


def _page(pages: Pages, number: int, limits: ImageLimits) -> Any:
    return vips.normalised(vips.load("tiffload", pages.alone(number), limits))


def _options(page: Any) -> dict[str, Any]:
    """Lossless, at the page's own depth: fax pages stay at one bit, 16 bits stay 16."""
    two_colours = page.bands == 1 and vips.field(page, "bits-per-sample", 8) == 1
    if two_colours or page.format not in _WHOLE_NUMBERS:
        return {"compression": "deflate", "predictor": "none", "bitdepth": 1 if two_colours else 0}
    return {"compression": "deflate", "predictor": "horizontal"}
