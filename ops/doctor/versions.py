"""What parses files of strangers: is it older than a fault that everybody knows of?"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ops.doctor.broker import server_version
from ops.doctor.check import Check, Finding, danger, info, ok
from ops.doctor.subject import Subject


@dataclass(frozen=True, slots=True)
class Parser:
    """One of them. A distribution mends faults without another version, so of its packages the version proves none."""

    name: str
    version: Callable[[Subject], str]
    least: str
    why: str  # at least that one
    distribution: bool = False  # is it the distribution's?
    mend: str | None = None  # where that alone does not help


def _libvips(_subject: Subject) -> str:
    import pyvips

    return ".".join(str(pyvips.version(part)) for part in range(3))


def _pillow(_subject: Subject) -> str:
    from PIL import __version__

    return __version__


def _libheif(_subject: Subject) -> str:
    import pillow_heif

    return str(pillow_heif.libheif_version())


def _libmagic(_subject: Subject) -> str:
    import magic

    number = int(magic.version())  # type: ignore[no-untyped-call]
    return f"{number // 100}.{number % 100}"


def _libarchive(_subject: Subject) -> str:
    from libarchive import ffi

    number = ffi.version_number()
    return f"{number // 1000000}.{number // 1000 % 1000}.{number % 1000}"


def _clamav(subject: Subject) -> str:
    """The oldest, where there are several."""
    return min((each.version().engine.removeprefix("ClamAV ") for each in subject.endpoints), key=_numbers)


_SERVER = "start it if it does not answer, else update its package"

PARSERS = (
    Parser("ClamAV", _clamav, "1.4.6", "CVE-2026-20346: integer underflow in its PDF parser", mend=_SERVER),
    Parser("libvips", _libvips, "8.18.1", "CVE-2026-2913: heap overflow when a source is read into memory"),
    Parser("libheif", _libheif, "1.22.1", "CVE-2026-49271: reads beyond the buffer of uncompressed HEIF"),
    Parser("Pillow", _pillow, "13.0.0", "CVE-2026-96639: writes beyond the buffer of a former frame"),
    Parser("libarchive", _libarchive, "3.8.8", "CVE-2026-14164: double free in its RAR5 reader", distribution=True),
    Parser("libmagic", _libmagic, "5.38", "CVE-2019-18218: heap overflow in its CDF parser", distribution=True),
    Parser(
        "Redis",
        server_version,
        "8.2.2",
        "CVE-2025-49844: scripts that run code of their own",
        distribution=True,
        mend=_SERVER,
    ),
)


def judge(parser: Parser, version: str, subject: Subject) -> Finding:
    """Is this version of it too old?"""
    if _numbers(version) >= _numbers(parser.least):
        return ok(version)
    said = f"{version}, older than {parser.least} ({parser.why})"
    if parser.distribution:
        return info(f"{said}; has your distribution mended it? The version does not tell")
    return danger(subject, said)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", version)[:3])


def _check(parser: Parser) -> Check:
    return Check(
        name=f"version-{parser.name.lower()}",
        what=f"the version of {parser.name}",
        expected=f"{parser.least} or later: {parser.why}",
        mend=parser.mend or ("update its package" if parser.distribution else "make install, after an update"),
        look=lambda subject: judge(parser, parser.version(subject), subject),
    )


CHECKS = tuple(_check(parser) for parser in PARSERS)
