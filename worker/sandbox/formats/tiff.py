"""TIFF: every page is decoded and encoded by itself, so pages may differ in size, colours and depth."""

from __future__ import annotations

from typing import Any

from PIL.TiffImagePlugin import AppendingTiffWriter

from worker.sandbox import vips
from worker.sandbox.answers import ImageLimits, Reencoded
from worker.sandbox.encoders import Traits, tiff, tiff_options
from worker.sandbox.formats.tiff_pages import Pages
from worker.sandbox.output import Output
from worker.sandbox.refusal import check_frames


class _Writer(AppendingTiffWriter):
    """Pillow's, but it remembers where the chain of pages ends instead of following it anew for each page."""

    _end = 0

    def skipIFDs(self) -> None:  # noqa: N802 - Pillow's name
        if self._end:
            self.f.seek(self._end)
        super().skipIFDs()
        self._end = self.whereToWriteNewIFDOffset or 0


def reencode(source: int, output: Output, limits: ImageLimits) -> Reencoded:
    """One page is streamed, or the first of several; of the others, one at a time is in memory, compressed."""
    pages = Pages(source, at_most=limits.max_frames)
    check_frames(len(pages), limits)
    if len(pages) == 1:
        return output.still(_page(pages, 0, limits), Traits(lossless=True))
    first = output.fitted(_page(pages, 0, limits))
    if output.kept:
        for number in range(len(pages)):
            vips.exhaust(_page(pages, number, limits))
    else:
        target = output.empty()
        tiff(first, target, Traits(), None)
        _append(pages, target, output, limits)
    return output.several(first.width, first.height, len(pages))


def _append(pages: Pages, target: int, output: Output, limits: ImageLimits) -> None:
    with open(target, "r+b", closefd=False) as out:
        out.seek(0)
        with _Writer(out) as writer:
            for number in range(1, len(pages)):
                page = output.fitted(_page(pages, number, limits))
                writer.write(page.tiffsave_buffer(keep="none", **tiff_options(page)))
                writer.newFrame()


def _page(pages: Pages, number: int, limits: ImageLimits) -> Any:
    return vips.normalised(vips.load("tiffload", pages.alone(number), limits))
