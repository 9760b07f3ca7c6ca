"""Programs and pages: what somebody's machine would run, under its own name and under that of something harmless.

Binary ones are headers with nothing behind them, written here byte by byte, unless something is packed in them.
"""

from __future__ import annotations

import importlib.util
import io
import lzma
import marshal
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

from ops.samples.unwelcome import executable
from tests.corpus.case import Case
from tests.corpus.container_makers import cabinet, written
from worker.scan import ReasonCode, Status

_FAMILY = "programs"
_REFUSED = frozenset({ReasonCode.TYPE_NOT_ALLOWED})
_REFUSED_BY_NAME = _REFUSED | {ReasonCode.TYPE_MISMATCH}
_UNOPENED = {"package.deb", "package.rpm"}  # clamd does not look into them, nor does anybody
_DISGUISES = cycle(("photo.jpg", "notes.txt", "report.pdf", "table.csv", "archive.zip", "README"))
Maker = Callable[[], bytes]


def _elf(machine: int = 62, kind: int = 2) -> bytes:
    """machine: 62 is x86-64, 183 is AArch64. kind: 2 is a program, 3 a library, 1 an object."""
    identity = b"\x7fELF\2\1\1" + bytes(9)
    return (
        identity + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0x400078, 64, 0, 0, 64, 56, 0, 64, 0, 0) + bytes(64)
    )


def _mach_o() -> bytes:
    return struct.pack("<IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 0, 0, 0, 0) + bytes(64)


def _fat_mach_o() -> bytes:
    arches = struct.pack(">IIIII", 0x01000007, 3, 4096, 32, 12) + struct.pack(">IIIII", 0x0100000C, 0, 8192, 32, 12)
    return (struct.pack(">II", 0xCAFEBABE, 2) + arches).ljust(4096, b"\0") + _mach_o()


def _java_class() -> bytes:
    return struct.pack(">IHHH", 0xCAFEBABE, 0, 61, 1) + bytes(64)


def _python_bytecode() -> bytes:
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile("print('hello')", "x.py", "exec"))


def _zip(*entries: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def _jar() -> bytes:
    manifest = b"Manifest-Version: 1.0\r\nMain-Class: Main\r\n\r\n"
    return _zip(("META-INF/MANIFEST.MF", manifest), ("Main.class", _java_class()))


def _apk() -> bytes:
    return _zip(("AndroidManifest.xml", b"\3\0\x08\0" + bytes(60)), ("classes.dex", _dex()))


def _dex() -> bytes:
    return b"dex\n035\0" + bytes(24) + struct.pack("<II", 112, 112) + bytes(72)


def _shortcut() -> bytes:
    """The header of a Windows shell link. [MS-SHLLINK] 2.1."""
    identity = bytes.fromhex("0114020000000000c000000000000046")
    return struct.pack("<I", 0x4C) + identity + struct.pack("<II", 0x81, 0x20) + bytes(48) + bytes(64)


def _iso() -> bytes:
    return written("iso9660", ("PROGRAM.EXE", executable()))


def _debian_package() -> bytes:
    control = lzma.compress(_tar())
    members = b"debian-binary   1700000000  0     0     100644  4         `\n2.0\n"
    return b"!<arch>\n" + members + b"control.tar.xz  1700000000  0     0     100644  %-10d`\n" % len(control) + control


def _rpm() -> bytes:
    lead = b"\xed\xab\xee\xdb\3\0\0\0\0\1" + b"program-1.0-1".ljust(66, b"\0") + b"\0\1\0\5"
    return lead.ljust(96, b"\0") + b"\x8e\xad\xe8\1" + bytes(64)


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("program")
        entry.size = len(_elf())
        archive.addfile(entry, io.BytesIO(_elf()))
    return file.getvalue()


def _cabinet() -> bytes:
    return cabinet(("setup.exe", executable()))


def _installer() -> bytes:
    """An OLE compound file with the class of Windows Installer, and no stream. [MS-CFB] 2.2."""
    free, end = 0xFFFFFFFF, 0xFFFFFFFE
    head = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6xIIII", 62, 3, 0xFFFE, 9, 6, 0, 1, 1, 0)
    )
    head += struct.pack("<IIIII", 4096, end, 0, end, 0) + struct.pack("<109I", 0, *[free] * 108)
    name = "Root Entry".encode("utf-16-le")
    class_id = bytes.fromhex("84100c0000000000c000000000000046")
    root = struct.pack("<64sHBBIII16s", name, len(name) + 2, 5, 1, free, free, free, class_id)
    root += struct.pack("<IQQIQ", 0, 0, 0, end, 0)
    return head + struct.pack("<128I", 0xFFFFFFFD, end, *[free] * 126) + root.ljust(512, b"\0")


def _as(text: str, encoding: str = "utf-8") -> Maker:
    return partial(text.encode, encoding)


_SCRIPT = "\nset -e\necho Forty days\n"
_PAGE = "<!DOCTYPE html>\n<html><head><title>x</title></head><body><script>alert(1)</script></body></html>\n"
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>\n'
_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'

BINARIES: dict[str, Maker] = {
    "program": _elf,
    "program.arm": partial(_elf, 183),
    "library.so": partial(_elf, kind=3),
    "module.ko": partial(_elf, kind=1),
    "setup.exe": executable,
    "plugin.dll": executable,
    "saver.scr": executable,
    "old.com": lambda: b"MZ" + bytes(510),
    "program.macho": _mach_o,
    "universal.dylib": _fat_mach_o,
    "Main.class": _java_class,
    "module.wasm": lambda: b"\0asm\1\0\0\0" + bytes(32),
    "script.pyc": _python_bytecode,
    "script.luac": lambda: b"\x1bLuaS\0\x19\x93\r\n\x1a\n" + bytes(32),
    "classes.dex": _dex,
    "program.jar": _jar,
    "program.apk": _apk,
    "link.lnk": _shortcut,
    "setup.msi": _installer,
    "disc.iso": _iso,
    "package.deb": _debian_package,
    "package.rpm": _rpm,
    "package.tar": _tar,
    "setup.cab": _cabinet,
    "film.swf": lambda: b"FWS\x0a" + struct.pack("<I", 100) + bytes(92),
    "help.chm": lambda: b"ITSF\3\0\0\0" + bytes(100),
    "extension.crx": lambda: b"Cr24" + struct.pack("<II", 3, 16) + bytes(100),
}
SCRIPTS: dict[str, Maker] = {
    "install.sh": _as("#!/bin/sh" + _SCRIPT),
    "install.bash": _as("#!/usr/bin/env bash" + _SCRIPT),
    "install.zsh": _as("#!/usr/bin/zsh" + _SCRIPT),
    "install.fish": _as("#!/usr/bin/fish" + _SCRIPT),
    "install.csh": _as("#!/bin/csh" + _SCRIPT),
    "install.ksh": _as("#! /bin/ksh" + _SCRIPT),
    "with-mark.sh": _as("#!/bin/sh" + _SCRIPT, "utf-8-sig"),
    "script.py": _as("#!/usr/bin/env python3\nprint('hello')\n"),
    "script.pl": _as("#!/usr/bin/perl -w\nprint 1;\n"),
    "script.rb": _as("#!/usr/bin/ruby\nputs 1\n"),
    "script.lua": _as("#!/usr/bin/lua\nprint(1)\n"),
    "script.awk": _as("#!/usr/bin/awk -f\n{ print }\n"),
    "script.tcl": _as("#!/usr/bin/tclsh\nputs 1\n"),
    "script.mjs": _as("#!/usr/bin/env node\nconsole.log(1)\n"),
    "script.any": _as("#!/opt/nobody/knows/it\n1\n"),
    "shell.php": _as("<?php system($_GET['c']); ?>\n"),
    "shell.phtml": _as("<?= `id` ?>\n"),
    "page.html": _as(_PAGE),
    "page.htm": _as("\n \t<!-- a comment first --><html><body onload=alert(1)>\n"),
    "page.xhtml": _as(_XML + '<html xmlns="http://www.w3.org/1999/xhtml"><head/><body/></html>\n'),
    "wide.html": _as(_PAGE, "utf-16"),
    "picture.svg": _as(_XML + _SVG),
    "bare.svg": _as(_SVG),
    "marked.svg": _as(_SVG, "utf-8-sig"),
    "doctype.svg": _as(_XML + '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">\n' + _SVG),
    "style.xsl": _as(_XML + '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>\n'),
    "bomb.xml": _as(_XML + '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;&b;&b;">]>\n<a>&c;&c;</a>\n'),
    "foreign.xml": _as(_XML + '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>\n<a>&b;</a>\n'),
}


def _cases() -> Iterator[Case]:
    for name, make in (BINARIES | SCRIPTS).items():
        extension = "." in name
        closed = frozenset({ReasonCode.SCAN_LIMITS_EXCEEDED} if name in _UNOPENED else ())
        codes = _REFUSED_BY_NAME if extension else _REFUSED
        yield Case(_FAMILY, name, name, make, Status.REJECTED, codes | closed)
        disguise = next(_DISGUISES)
        codes = _REFUSED_BY_NAME if "." in disguise else _REFUSED
        yield Case(_FAMILY, f"{name} as {disguise}", disguise, make, Status.REJECTED, codes | closed)


CASES = tuple(_cases())
