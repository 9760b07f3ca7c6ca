"""Text, tables, data, sound and films: ordinary ones, and those that a browser or a shell would run."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests import images
from tests.corpus import media_builder as media
from tests.corpus.case import Case
from worker.scan import ReasonCode, Status

_NOT, _TWO = ReasonCode.TYPE_NOT_ALLOWED, ReasonCode.TYPE_MISMATCH
_UNKNOWN = "application/octet-stream"
_GREETING = "Grüße aus Ragusa: alle wohlauf, 40 Tage überstanden.\n"


def _case(
    name: str, filename: str, media_type: str, data: bytes | Callable[[], bytes], *codes: ReasonCode, declared: str = ""
) -> Case:
    make = data if callable(data) else lambda: data
    status = Status.REJECTED if codes else Status.CLEAN
    return Case("texts", name, filename, make, status, frozenset(codes), declared or None, media_type)


def _text(name: str, data: bytes | str) -> Case:
    """Only text, whatever libmagic takes it for."""
    return _case(name, "notes.txt", "text/plain", data.encode() if isinstance(data, str) else data)


_PROSE = (
    *(
        _text(f"German in {each}", _GREETING.encode(each))
        for each in ("utf-8", "latin-1", "utf-8-sig", "utf-16", "utf-32")
    ),
    _text("UTF-16, big end first", "\ufeff".encode("utf-16-be") + _GREETING.encode("utf-16-be")),
    _text("UTF-32, big end first", "\ufeff".encode("utf-32-be") + _GREETING.encode("utf-32-be")),
    _text("UTF-16 without a mark", _GREETING.encode("utf-16-le")),
    _text("UTF-16 without a mark, big end first", _GREETING.encode("utf-16-be")),
    _text("Chinese in GBK", "隔离四十天，全体船员平安。\n".encode("gbk")),
    _text("Japanese in Shift-JIS", "四十日間の検疫を終えました。\n".encode("shift-jis")),
    _text("Russian in KOI8-R", "Сорок дней на острове, все здоровы.\n".encode("koi8-r")),
    _text("Arabic", "أربعون يوما في الحجر الصحي.\n"),
    _text("Hebrew, right to left", "\u202eארבעים יום\u202c\n"),
    _text("emoji", "🚢 ⚓️ 🏝️ 👩‍⚕️\n"),
    _text("quotes of Windows", b"\x93Forty days\x94 \x96 and no more\x85\r\n"),
    _text("lines of the Macintosh", b"one\rtwo\rthree\r"),
    _text("an end of file of DOS", b"Forty days.\r\n\x1a"),
    _text("colours of a terminal", b"\x1b[31mred\x1b[0m\n"),
    _text("one letter", b"x"),
    _text("one line of a megabyte", b"x" * 1_200_000),
    _text("like C", "#include <stdio.h>\n\nint main(void) { return 0; }\n"),
    _text("like C++ or Java", "import the goods first, then\nclass them; /* a comment */\n\nimport java.util.*;\n"),
    _text("like Python", "from os import path\n\ndef arrive(ship):\n    return ship\n"),
    _text("like a mail", "From: master@example.org\nTo: port@example.org\nSubject: Arrival\n\nWe are here.\n"),
    _text("like a received mail", "Received: from ship by port\n\nWe are here.\n"),
    _text("like TeX", "\\documentclass{article}\n\\begin{document}Ship\\end{document}\n"),
    _text("like a manual page", ".TH SHIP 1\n.SH NAME\nship\n"),
    _text("like a patch", "--- a/list\n+++ b/list\n@@ -1 +1 @@\n-one\n+two\n"),
    _text("like Lisp", "(defun arrive (ship) ship)\n;; done\n"),
    _text("like subtitles", "1\n00:00:01,000 --> 00:00:02,000\nLand!\n"),
    _text("like a card", "BEGIN:VCARD\nVERSION:3.0\nFN:Master\nEND:VCARD\n"),
    _text("like a calendar", "BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n"),
    _text("like a picture", "GIF89a is how a GIF begins, P1 how a bitmap does.\n"),
    _text("like a bitmap", "P1 is the name of our berth\n"),
    _text("like sound", "fLaC is how FLAC begins, ID3 how MP3 does.\n"),
    _text("like a film", "The moov is the box that matters, not the ftyp.\n"),
    _text("like an archive", "BZh91AY is how bzip2 begins.\n"),
    _text("like a program", "MZ is how a program begins.\n"),
    _text("about HTML", "In HTML, <title> stands in <head>, and <script> may stand anywhere.\n" * 3),
    _text("about SVG", "A drawing begins with <svg> and ends with </svg>.\n"),
    _text("about PHP", "A page begins with <?php and ends with ?>, or never.\n"),
    _text("about PGP", "It begins with:\n-----BEGIN PGP MESSAGE-----\nand ends with END.\n"),
    _text("JSON in a note", '{"ship": "Fortuna"}\n'),
    _text("a table in a note", "ship,days\nFortuna,40\nSperanza,40\n"),
    _case(
        "Markdown", "readme.md", "text/plain", b"# Ship\n\n```html\n<script>x</script>\n```\n", declared="text/markdown"
    ),
    _case("a log", "a.log", "text/plain", b"2026-01-01 00:00:00 ERROR no wind\n" * 100),
)

_ROWS = "ship,port,days\nFortuna,Ragusa,40\nSperanza,Alexandria,40\n"
_OBJECT = {"ship": "Fortuna", "days": 40, "crew": [{"name": "Ruđer", "well": True}, None]}

_DATA = (
    _case("CSV", "a.csv", "text/csv", _ROWS.encode(), declared="text/csv"),
    _case("CSV, as Windows declares it", "a.csv", "text/csv", _ROWS.encode(), declared="application/vnd.ms-excel"),
    _case("CSV with semicolons", "a.csv", "text/csv", _ROWS.replace(",", ";").encode()),
    _case("CSV of one column", "a.csv", "text/csv", b"ship\nFortuna\nSperanza\n"),
    _case("CSV in UTF-16", "a.csv", "text/csv", _ROWS.encode("utf-16")),
    _case("CSV with a mark", "a.csv", "text/csv", _ROWS.encode("utf-8-sig")),
    _case("CSV with a page in a cell", "a.csv", "text/csv", b'ship,note\nFortuna,"<script>alert(1)</script>"\n'),
    _case("CSV that begins like JSON", "a.csv", "text/csv", b"[1]\n"),
    _case("JSON", "a.json", "application/json", json.dumps(_OBJECT).encode(), declared="application/json"),
    _case("JSON with a charset", "a.json", "application/json", b'{"a": 1}', declared="application/json; charset=utf-8"),
    _case("JSON in UTF-16", "a.json", "application/json", json.dumps(_OBJECT).encode("utf-16")),
    _case(
        "JSON of a megabyte", "a.json", "application/json", lambda: json.dumps([_OBJECT] * 20_000, indent=1).encode()
    ),
    _case("JSON, as many commas in each line", "a.json", "application/json", b'["a",1,\n"b",2,\n"c",3,\n4,[5,6,7]]'),
    _case("JSON, one to a line", "a.json", "application/json", b'{"a": 1}\n{"a": 2}\n'),
    _case("JSON with a page in it", "a.json", "application/json", b'{"page": "<html><script>alert(1)</script>"}'),
    _case("GeoJSON", "a.geojson", "application/json", b'{"type": "Point", "coordinates": [18.1, 42.6]}'),
)

_MEDIA = (
    _case("MP3", "a.mp3", "audio/mpeg", media.MP3, declared="audio/mp3"),
    _case("MP3 with a tag", "a.mp3", "audio/mpeg", media.tag((b"TIT2", b"\0Song")) + media.MP3),
    _case("MP3 with a padded tag", "a.mp3", "audio/mpeg", media.tag((b"TIT2", b"\0Song"), padding=2000) + media.MP3),
    _case("MP3 of MPEG 2", "a.mp3", "audio/mpeg", media.MPEG2),
    _case("MP3 with its old tag", "a.mp3", "audio/mpeg", media.MP3 + b"TAG" + bytes(125)),
    _case("AAC", "a.aac", "audio/aac", media.AAC),
    _case("AAC with a tag", "a.aac", "audio/aac", media.tag((b"PRIV", b"x\0y")) + media.AAC),
    _case("WAV", "a.wav", "audio/wav", media.wav, declared="audio/x-wav"),
    _case("FLAC", "a.flac", "audio/flac", media.FLAC),
    _case("Ogg Vorbis", "a.ogg", "audio/ogg", media.ogg(media.VORBIS)),
    _case("Ogg Opus", "a.opus", "audio/ogg", media.ogg(media.OPUS), declared="audio/opus"),
    _case("Ogg Theora", "a.ogv", "video/ogg", media.ogg(media.THEORA)),
    _case("Ogg Vorbis before Theora", "a.ogv", "video/ogg", media.ogg(media.VORBIS, media.THEORA)),
    _case("Ogg with a skeleton", "a.ogv", "video/ogg", media.ogg(media.SKELETON, media.THEORA, media.VORBIS)),
    _case("MP4", "a.mp4", "video/mp4", media.movie(b"isom", b"mp42")),
    _case("MP4 for the web", "a.mp4", "video/mp4", media.movie(b"mp42", last=False)),
    _case("MP4 of a camera", "a.mp4", "video/mp4", media.movie(b"XAVC", b"mp42")),
    _case("MP4 in fragments", "a.mp4", "video/mp4", media.fragmented),
    _case("MP4 cut off", "a.mp4", "video/mp4", media.movie(b"isom", last=False)[:1500]),
    _case("M4A", "a.m4a", "audio/mp4", media.movie(b"M4A ", b"mp42"), declared="audio/x-m4a"),
    _case("QuickTime", "a.mov", "video/quicktime", media.movie(b"qt  ")),
    _case("QuickTime of old", "a.mov", "video/quicktime", media.movie()),
    _case("WebM", "a.webm", "video/webm", media.matroska(b"webm"), declared="audio/webm"),
    _case("Matroska", "a.mkv", "video/x-matroska", media.matroska(b"matroska")),
    _case("AVI", "a.avi", "video/x-msvideo", media.avi),
    _case("AVIF called HEIC", "a.heic", "image/avif", lambda: images.encode(images.photo(), "AVIF", speed=10), _TWO),
    _case("Matroska called WebM", "a.webm", "video/x-matroska", media.matroska(b"matroska"), _TWO),
    _case("Ogg film called sound", "a.oga", "video/ogg", media.ogg(media.VORBIS, media.THEORA), _TWO),
    _case("Matroska of no kind", "a.mkv", _UNKNOWN, media.matroska(b"mystery"), _NOT, _TWO),
)


def _run(name: str, filename: str, media_type: str, text: str, *, encoding: str = "utf-8", more: bool = False) -> Case:
    """What a browser or a shell would run. `more`: the name does not fit either."""
    return _case(name, filename, media_type, text.encode(encoding), *((_NOT, _TWO) if more else (_NOT,)))


_PAGE = "<!doctype html><html><body><script>alert(1)</script>"
_DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'

_RUN = (
    _run("HTML", "page", "text/html", _PAGE),
    _run("HTML as a note", "a.txt", "text/html", _PAGE, more=True),
    _run("HTML behind a megabyte of space", "a", "text/html", " \n" * 500_000 + _PAGE),
    _run("HTML behind a comment", "a", "text/html", "<!-- a note -->\n" + _PAGE),
    _run("HTML in UTF-16", "a", "text/html", _PAGE, encoding="utf-16"),
    _run("HTML in UTF-16 without a mark", "a", "text/html", _PAGE, encoding="utf-16-le"),
    _run("HTML behind a mark", "a", "text/html", _PAGE, encoding="utf-8-sig"),
    _run("HTML that begins with an image", "a", "text/html", "<img src=x onerror=alert(1)>"),
    _run("HTML as CSV", "a.csv", "text/html", _PAGE, more=True),
    _run("HTML as JSON", "a.json", "text/html", _PAGE, more=True),
    _run("XHTML", "a", "text/xml", '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
    _run("XML with a style sheet", "a", "text/xml", '<?xml version="1.0"?><?xml-stylesheet href="x"?><a/>'),
    _run("SVG", "a.svg", "image/svg+xml", _DRAWING, more=True),
    _run("SVG as a picture", "a.png", "image/svg+xml", '<?xml version="1.0"?>\n' + _DRAWING, more=True),
    _run("SVG behind a document type", "a", "image/svg+xml", '<!DOCTYPE svg PUBLIC "x" "y">' + _DRAWING),
    _run("shell script", "a.txt", "text/x-shellscript", "#!/bin/sh\nrm -rf /\n", more=True),
    _run("Python script", "a.txt", "text/x-shellscript", "#!/usr/bin/env python3\nprint(1)\n", more=True),
    _run("PHP", "a.txt", "text/x-php", "<?php system($_GET[0]); ?>", more=True),
    _run("PHP in short", "a.txt", "text/x-php", "<?= `id` ?>", more=True),
    _run("batch file", "a.txt", "text/x-msdos-batch", "@echo off\r\ndel *.*\r\n", more=True),
    _run("PostScript", "a.txt", "application/postscript", "%!PS-Adobe-3.0\n(x) run\n", more=True),
    _run("RTF", "a.txt", "text/rtf", "{\\rtf1\\ansi Ship}", more=True),
    _run("Internet shortcut", "a.txt", "application/x-mswinurl", "[InternetShortcut]\nURL=file://x\n", more=True),
    _case("script by its name", "a.js", "text/plain", b"alert(1)\n", _TWO),
    _case("PowerShell by its name", "a.ps1", "text/plain", b"Write-Host 1\n", _TWO),
    _case("text, then NUL", "a.txt", _UNKNOWN, b"Forty days\n" * 20 + b"\0\1\2", _NOT, _TWO),
    _case("text, then noise behind a megabyte", "a.txt", _UNKNOWN, b"Forty days\n" * 120_000 + bytes(9), _NOT, _TWO),
    _case("UTF-16, then half a pair", "a.txt", _UNKNOWN, _GREETING.encode("utf-16") + b"\x00\xd8\x41", _NOT, _TWO),
    _case("noise", "a.txt", _UNKNOWN, bytes(range(255, -1, -1)) * 4, _NOT, _TWO),
)


def _named(filename: str, *codes: ReasonCode, declared: str = "") -> Case:
    data = images.encode(images.photo(), "JPEG")
    return _case(
        f"JPEG as {filename!a}, {declared or 'undeclared'}",
        filename,
        "image/jpeg",
        data,
        *codes,
        declared=declared,
    )


_NAMES = (
    _named("photo.JPG"),
    _named("photo.jpg", declared="image/pjpeg"),
    _named("photo.jpg", declared="IMAGE/JPEG; name=x"),
    _named("photo.jpg", declared="application/octet-stream"),
    _named("photo.jpg", _TWO, declared="text/plain"),
    _named("photo.jpg", declared="*/*"),
    _named("photo.jpg", declared="undefined"),
    _named("photo.jpg.exe", _TWO),
    _named("photo.exe.jpg"),
    _named("photo.exe\N{RIGHT-TO-LEFT OVERRIDE}gpj.jpg"),
    _named("photo\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe", _TWO),
    _named("photo.js::$DATA", _TWO),
    _named("photo.exe. . .", _TWO),
    _named("photo.jpg\N{ZERO WIDTH SPACE}.scr", _TWO),
)

CASES: tuple[Case, ...] = _PROSE + _DATA + _MEDIA + _RUN + _NAMES
