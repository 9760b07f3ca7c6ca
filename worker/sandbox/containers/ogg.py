"""Ogg: audio or video, by the codecs of all its streams. RFC 3533; RFC 5334 for the types.

libmagic goes by the first stream, which may be a skeleton, or the sound that belongs to a film.
"""

from __future__ import annotations

from typing import BinaryIO

from worker.sandbox.containers.window import at

_HEADER = 27  # bytes, and a table of segments
_MOST_STREAMS = 64
_BEGINS_STREAM = 2
_VIDEO = (b"\x80theora", b"BBCD\0", b"\x80daala", b"OVP80", b"\1video\0\0\0")
_AUDIO = (b"\1vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC", b"PCM     ", b"CELT    ")


def inner_type(file: BinaryIO) -> str | None:
    """All streams begin on the first pages."""
    place, kinds = 0, set[str]()
    for _ in range(_MOST_STREAMS):
        page = at(file, place, _HEADER + 255 + 16)
        if not page.startswith(b"OggS") or len(page) < _HEADER or not page[5] & _BEGINS_STREAM:
            break
        data = _HEADER + page[26]
        payload = page[data : data + 16]
        kinds |= {"video"} if payload.startswith(_VIDEO) else {"audio"} if payload.startswith(_AUDIO) else set()
        place += data + sum(page[_HEADER:data])
    return next((f"{kind}/ogg" for kind in ("video", "audio") if kind in kinds), None)
