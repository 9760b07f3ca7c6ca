"""Images that are cut, corrupt or mis-chunked: none of them may be promoted as a grey half of what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.corpus import image_files as make
from tests.corpus.case import Case
from worker.scan import ReasonCode, Status

_FAMILY = "damaged images"
_BROKEN = frozenset({ReasonCode.IMAGE_UNDECODABLE})


def _broken(extension: str, name: str, maker: Callable[[], bytes]) -> Case:
    return Case(_FAMILY, name, f"broken.{extension}", maker, Status.REJECTED, _BROKEN)


_WHOLE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a JPEG": ("jpg", partial(make.plain, "JPEG")),
    "a progressive JPEG": ("jpg", partial(make.plain, "JPEG", progressive=True)),
    "a PNG": ("png", partial(make.plain, "PNG")),
    "an APNG": ("png", partial(make.moving, "PNG", duration=70)),
    "a GIF": ("gif", partial(make.plain, "GIF")),
    "an animated GIF": ("gif", partial(make.moving, "GIF", duration=70)),
    "a WebP": ("webp", partial(make.plain, "WEBP")),
    "a lossless WebP": ("webp", partial(make.plain, "WEBP", lossless=True)),
    "an animated WebP": ("webp", partial(make.moving, "WEBP", duration=70)),
    "an animated AVIF": ("avif", partial(make.moving, "AVIF", duration=70, speed=10)),
    "an AVIF": ("avif", partial(make.plain, "AVIF", speed=10)),
    "a HEIC": ("heic", partial(make.plain, "HEIF")),
    "a BMP": ("bmp", partial(make.plain, "BMP")),
    "a TIFF": ("tif", partial(make.plain, "TIFF", compression="tiff_lzw")),
    "a TIFF of four pages": ("tif", partial(make.moving, "TIFF", compression="tiff_deflate")),
}


def _cut(maker: Callable[[], bytes], share: float) -> bytes:
    data = maker()
    return data[: int(len(data) * share)]


def _cuts() -> Iterator[Case]:
    for name, (extension, maker) in _WHOLE.items():
        for share, where in ((0.5, "half of it"), (0.9, "without its last tenth")):
            yield _broken(extension, f"{name}, {where}", partial(_cut, maker, share))


def _jpeg(name: str, maker: Callable[[], bytes]) -> Case:
    return _broken("jpg", name, maker)


def _gap(data: bytes) -> bytes:
    """The end marker behind half of the pixels."""
    return data[: len(data) // 2] + b"\xff\xd9"


def _without(name: bytes, data: bytes) -> bytes:
    """A JPEG without one of its segments."""
    at = data.find(name)
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]


def _without_last_scan() -> bytes:
    data = make.plain("JPEG", progressive=True)
    return data[: data.rfind(b"\xff\xda")] + b"\xff\xd9"


def _jpeg_restarting() -> bytes:
    return make.plain("JPEG", restart_marker_rows=1)


_JPEG = (
    _jpeg("a JPEG whose end comes in the middle", lambda: _gap(make.plain("JPEG"))),
    _jpeg("a progressive JPEG whose end comes in the middle", lambda: _gap(make.plain("JPEG", progressive=True))),
    _jpeg(
        "a JPEG with a gap behind junk that libjpeg only warns of",
        lambda: _gap(make.plain("JPEG")[:20] + b"junk" + make.plain("JPEG")[20:]),
    ),
    _jpeg(
        "a JPEG with a gap behind a version that libjpeg only warns of",
        lambda: _gap(make.patched(make.plain("JPEG"), 11, b"\x09\x09")),
    ),
    _jpeg("a progressive JPEG without its last scan", lambda: _without_last_scan()),
    _jpeg("a JPEG without quantization tables", lambda: make.plain("JPEG").replace(b"\xff\xdb", b"\xff\xfe")),
    _jpeg("a JPEG without a frame", lambda: _without(b"\xff\xc0", make.plain("JPEG"))),
    _jpeg("a JPEG without a scan", lambda: make.plain("JPEG")[: make.plain("JPEG").find(b"\xff\xda")] + b"\xff\xd9"),
    _jpeg("a JPEG whose height is to be told later", lambda: make.jpeg_claiming(160, 0)),
    _jpeg("a JPEG of no width", lambda: make.jpeg_claiming(0, 120)),
    _jpeg("a JPEG that is higher than its pixels go", lambda: make.jpeg_claiming(160, 240)),
    _jpeg("a JPEG that begins twice", lambda: b"\xff\xd8" + make.plain("JPEG")),
    _jpeg(
        "a JPEG with a segment of no length",
        lambda: make.jpeg_with(base=b"\xff\xd8\xff\xe1\0\0" + make.plain("JPEG")[2:]),
    ),
    _jpeg("a JPEG with a segment beyond its end", lambda: make.plain("JPEG")[:2] + b"\xff\xe1\xff\xff" + bytes(900)),
    _jpeg("a JPEG with lost restart markers", lambda: _jpeg_restarting().replace(b"\xff\xd3", b"")),
    _jpeg("a JPEG with restart markers in disorder", lambda: _jpeg_restarting().replace(b"\xff\xd2", b"\xff\xd6")),
    _jpeg("a JPEG of five colours", lambda: make.plain("JPEG").replace(b"\0\x78\0\xa0\x03", b"\0\x78\0\xa0\x05")),
    _jpeg("a JPEG of nothing but a head", lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xd9"),
)


def _png(name: str, *chunks: tuple[bytes, bytes]) -> Case:
    return _broken("png", name, lambda: make.png_of(*chunks))


def _end() -> bytes:
    return make.png_with()[-12:]


_HEAD, _PIXELS = make.header(), make.pixels()
_PNG = (
    _broken("png", "a PNG with a wrong checksum on its head", lambda: make.patched(make.plain("PNG"), 29, b"\0\0\0\0")),
    _broken("png", "a PNG with a wrong checksum on its pixels", lambda: make.png_with()[:-13] + b"\0" + _end()),
    _broken("png", "a PNG without an end", lambda: make.png_with()[:-12]),
    _broken(
        "png",
        "a PNG with a chunk of 2,147,483,647 bytes",
        lambda: make.patched(make.png_with(), 33, b"\x7f\xff\xff\xff"),
    ),
    _broken(
        "png",
        "a PNG with a chunk of 4,294,967,295 bytes",
        lambda: make.patched(make.png_with(), 33, b"\xff\xff\xff\xff"),
    ),
    _png("a PNG without pixels", _HEAD),
    _png("a PNG with too few rows", _HEAD, make.pixels(b"\0\1\2\3\4" * 2)),
    _png("a PNG with pixels that do not inflate", _HEAD, (b"IDAT", b"\x78\xda" + b"rubbish" * 9)),
    _png("a PNG with a wrong checksum inside its pixels", _HEAD, (b"IDAT", _PIXELS[1][:-1] + b"\0")),
    _png("a PNG with a filter that does not exist", _HEAD, make.pixels(b"\x09\1\2\3\4" * 4)),
    _png("a PNG with a palette that is missing", make.header(kind=3), _PIXELS),
    _png("a PNG of 3 bits", make.header(depth=3), _PIXELS),
    _png("a PNG of no width", make.header(width=0), _PIXELS),
    _png("a PNG of an unknown colour type", make.header(kind=5), _PIXELS),
    _png("a PNG with two heads", _HEAD, _HEAD, _PIXELS),
    _png("a PNG with a critical chunk that nobody knows", _HEAD, (b"HELP", b"me"), _PIXELS),
)

_TWO = (_HEAD, make.animation(2), make.control(0), _PIXELS)
_APNG = (
    _png(
        "an APNG with a frame less than it says",
        _HEAD,
        make.animation(3),
        make.control(0),
        _PIXELS,
        make.control(1),
        make.more_pixels(2),
    ),
    _png(
        "an APNG with a frame more than it says",
        _HEAD,
        make.animation(1),
        make.control(0),
        _PIXELS,
        make.control(1),
        make.more_pixels(2),
    ),
    _png("an APNG with a frame that does not fit into it", *_TWO, make.control(1, x=1), make.more_pixels(2)),
    _png(
        "an APNG with a first frame that is smaller",
        _HEAD,
        make.animation(1),
        make.control(0, 2, 2),
        make.pixels(b"\0\1\2" * 2),
    ),
    _png("an APNG with a frame of too few rows", *_TWO, make.control(1), make.more_pixels(2, b"\0\1\2\3\4")),
    _png("an APNG with frames in disorder", *_TWO, make.control(2), make.more_pixels(1)),
    _png("an APNG with a control that is too short", *_TWO, (b"fcTL", bytes(10)), make.more_pixels(2)),
    _png("an APNG with no frames at all", _HEAD, make.animation(0), _PIXELS),
    _png(
        "an APNG with a disposal that does not exist",
        _HEAD,
        make.animation(1),
        (b"fcTL", make.control(0)[1][:-2] + b"\x07\0"),
        _PIXELS,
    ),
)


def _gif(name: str, *frames: bytes) -> Case:
    return _broken("gif", name, lambda: make.gif(8, 8, *frames))


_GIF = (
    _gif("a GIF without a frame"),
    _gif("a GIF of no size", make.gif_frame(width=0)),
    _gif("a GIF with pixels that are missing", make.gif_frame(width=8, height=8)),
    _gif("a GIF with a second frame whose pixels are missing", make.gif_frame(), make.gif_frame(width=8, height=8)),
    _gif("a GIF of an unknown block", make.gif_frame(), b"\x99\x99\x99"),
    _gif("a GIF of codes of 15 bits", make.gif_frame(data=b"\x0f\x02\x4c\x01\0")),
    _gif("a GIF of codes that mean nothing", make.gif_frame(0, 0, 8, 8, b"\x02\x10" + b"\xff" * 16 + b"\0")),
    _gif("a GIF with a control of the wrong size", b"\x21\xf9\x01\0\0" + make.gif_frame()),
    _broken("gif", "a GIF without its trailer", lambda: make.gif(8, 8, make.gif_frame())[:-1]),
)


CASES: tuple[Case, ...] = (*_cuts(), *_JPEG, *_PNG, *_APNG, *_GIF)
