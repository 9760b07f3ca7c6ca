"""OLE compound files, as Word, Excel and PowerPoint wrote them until 2007. [MS-CFB]"""

from __future__ import annotations

import struct

_NONE, _END, _TABLE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_SECTOR, _MINI, _CUTOFF = 512, 64, 4096


def compound(streams: dict[str, bytes], *, class_id: bytes = bytes(16)) -> bytes:
    """These streams in the root folder; the small ones in the mini stream, as they must be."""
    small = {name: data for name, data in streams.items() if len(data) < _CUTOFF}
    mini, mini_starts, mini_table = bytearray(), dict[str, int](), list[int]()
    for name, data in small.items():
        mini_starts[name] = len(mini) // _MINI
        mini += data.ljust(-(-max(len(data), 1) // _MINI) * _MINI, b"\0")
        mini_table += _chained(mini_starts[name], len(mini) // _MINI)
    parts = {name: data for name, data in streams.items() if name not in small}
    parts |= {"": bytes(mini), "\0": struct.pack(f"<{len(mini_table)}I", *mini_table)}
    body, table, starts = bytearray(), [_TABLE, _TABLE], dict[str, int]()
    for name, data in parts.items():
        starts[name] = len(table) if data else _END
        body += data.ljust(-(-len(data) // _SECTOR) * _SECTOR, b"\xff")
        table += _chained(len(table), 2 + len(body) // _SECTOR)
    entries = [entry("Root Entry", 5, _NONE, 1 if streams else _NONE, starts[""], len(mini), class_id)]
    for number, (name, data) in enumerate(streams.items(), 1):
        following = number + 1 if number < len(streams) else _NONE
        entries.append(entry(name, 2, following, _NONE, (mini_starts | starts)[name], len(data)))
    directory = len(table)
    content = b"".join(entries)
    content += bytes(-len(content) % _SECTOR)
    table += _chained(directory, directory + len(content) // _SECTOR)
    allocation = struct.pack(f"<{len(table)}I", *table).ljust(2 * _SECTOR, b"\xff")
    if len(allocation) > 2 * _SECTOR:
        raise ValueError("two sectors of table hold 128 KiB")
    return _header(directory, starts["\0"], len(mini_table)) + allocation + bytes(body) + content


def _chained(start: int, end: int) -> list[int]:
    return [*range(start + 1, end), _END] if end > start else []


def _header(directory: int, mini_table: int, mini_sectors: int) -> bytes:
    fields = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        62,
        3,
        0xFFFE,
        9,
        6,
        0,
        2,
        directory,
        0,
        _CUTOFF,
        mini_table,
        1 if mini_sectors else 0,
        _END,
        0,
    )
    return (fields + struct.pack("<II", 0, 1)).ljust(_SECTOR, b"\xff")


def entry(name: str, kind: int, right: int, child: int, start: int, size: int, class_id: bytes = bytes(16)) -> bytes:
    """One entry of the directory. 2.6.1"""
    encoded = name.encode("utf-16-le")
    fields = (encoded, len(encoded) + 2, kind, 1, _NONE, right, child, class_id, start, size)
    return struct.pack("<64sHBBIII16s20xIQ", *fields)


def word(*, encrypted: bool = False, drawn_together: bool = False) -> bytes:
    """A document of Word 97. FibBase: [MS-DOC] 2.5.2. `drawn_together`: obfuscated with XOR."""
    flags = 0x1200 | (0x0100 if encrypted else 0) | (0x8000 if drawn_together else 0)
    fib = struct.pack("<HHHHHHH", 0xA5EC, 193, 0, 1033, 0, flags, 191)
    return compound({"WordDocument": fib.ljust(4096, b"\0"), "1Table": bytes(4096)})


def excel(*, encrypted: bool = False, protected: bool = False, stream: str = "Workbook") -> bytes:
    """A workbook of Excel 97: BOF, perhaps WriteProtect, perhaps FilePass. [MS-XLS] 2.4.21, .349, .117"""
    records = struct.pack("<HHHHHHII", 0x0809, 16, 0x0600, 5, 0x0DBB, 0x07CC, 0, 0x06)
    records += struct.pack("<HH", 0x86, 0) if protected else b""
    records += struct.pack("<HHH52x", 0x2F, 54, 1) if encrypted else b""
    records += struct.pack("<HHH", 0x42, 2, 1200) + struct.pack("<HH", 0x0A, 0)
    return compound({stream: records.ljust(4096, b"\0")})


def powerpoint(*, encrypted: bool = False) -> bytes:
    """A presentation of PowerPoint 97. CurrentUserAtom: [MS-PPT] 2.3.2"""
    token = 0xF3D1C4DF if encrypted else 0xE391C05F
    user = struct.pack("<HHIIIIHHBBH", 0, 0x0FF6, 24, 20, token, 0, 4, 0x03F4, 3, 0, 0) + b"me\0\0"
    slides = struct.pack("<HHI", 0x000F, 0x03E8, 4088).ljust(4096, b"\0")
    return compound({"Current User": user, "PowerPoint Document": slides})


def dragged_in(name: str, data: bytes) -> bytes:
    """The stream \\1Ole10Native of a file that was dragged into a document, as Packager writes it."""
    path = f"C:\\{name}".encode() + b"\0"
    labels = b"\2\0" + name.encode() + b"\0" + path + b"\0\0\3\0" + struct.pack("<I", len(path)) + path
    whole = labels + struct.pack("<I", len(data)) + data
    return struct.pack("<I", len(whole)) + whole
