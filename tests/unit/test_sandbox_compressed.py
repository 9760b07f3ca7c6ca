"""What lies in compression, of whatever kind: it is seen, or said not to be, and looking for it ends."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable

import pytest

from tests.corpus import archive_makers, rar_builder
from tests.corpus.zip_builder import BZIP2, DEFLATED, DEFLATED64, STORED, Told, Zip, deflated, ordinary, told
from worker.sandbox import allowance
from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import Closed
from worker.sandbox.containers import compressed, inside
from worker.scan import ReasonCode

_UNSEEN = ReasonCode.SCAN_LIMITS_EXCEEDED
_RAR = rar_builder.rar5(archive_makers.noise(200_000))
_TAPE = archive_makers.tape(("a", b"x"), ("b", _RAR))
_IN_COMPRESSION = {
    "bzip2, in a block of more than 64 KiB": bz2.compress(_RAR),
    "gzip, behind an empty one": gzip.compress(b"") + gzip.compress(_RAR),
    "bzip2, behind an empty one": bz2.compress(b"") + bz2.compress(_RAR),
    "xz, behind an empty one and padding": lzma.compress(b"") + bytes(8) + lzma.compress(_RAR),
    "gzip, a letter in the first": gzip.compress(_RAR[:1]) + gzip.compress(_RAR[1:]),
    "tar, in two gzips": gzip.compress(_TAPE[:1024]) + gzip.compress(_TAPE[1024:]),
    "xz, with a dictionary of 512 MiB": archive_makers.demanding(_RAR, 29),
}


def _code(data: bytes) -> ReasonCode | None:
    try:
        inside.look_into(io.BytesIO(data), Allowance())
    except Closed as closed:
        return closed.refused.code
    return None


@pytest.mark.parametrize("how", _IN_COMPRESSION)
def test_an_archive_that_nobody_opens_is_seen_however_it_is_compressed(how: str) -> None:
    """ClamAV unpacks each of them, and says OK to the RAR."""
    assert _code(_IN_COMPRESSION[how]) == _UNSEEN


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_what_was_compressed_in_several_pieces_is_read_as_one(compress: Callable[[bytes], bytes]) -> None:
    """As pigz, bgzip and pbzip2 write it."""
    whole = archive_makers.tape(("a", b"x" * 3000), ("b", archive_makers.noise(200_000)))
    pieces = b"".join(compress(whole[start : start + 1000]) for start in range(0, len(whole), 1000))
    assert compressed.unpacked(io.BytesIO(pieces), Allowance()).getvalue() == whole  # type: ignore[attr-defined]
    assert _code(pieces) == (_UNSEEN if compress is bz2.compress else None), "ClamAV sees the first piece of a bzip2"


def test_a_look_into_files_that_are_slow_to_unpack_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """136 bytes each, of which a thousand take seconds: a hundred thousand would keep a worker busy for minutes."""
    slow = bz2.compress(b"ab" * 449_000)
    monkeypatch.setattr(allowance, "_SECONDS", 0.2)
    assert _code(ordinary(("a.bz2", slow))) is None
    many = ordinary(*((f"{number}.bz2", slow) for number in range(2000)), method=zipfile.ZIP_STORED)
    assert _code(many) == ReasonCode.SCAN_TIMED_OUT
    assert _code(archive_makers.tape(*((f"{number}", slow) for number in range(2000)))) == ReasonCode.SCAN_TIMED_OUT
    assert _code(gzip.compress(b"") * 100_000) == ReasonCode.SCAN_LIMITS_EXCEEDED


@pytest.mark.parametrize("method", [DEFLATED, BZIP2, DEFLATED64])
def test_an_archive_that_nobody_opens_is_seen_in_every_kind_of_entry(method: int) -> None:
    """ClamAV unpacks each of them. Empty blocks of deflate may come first, and a block of bzip2 comes whole."""
    packed = bz2.compress(_RAR) if method == BZIP2 else b"\0\0\0\xff\xff" * 1000 + deflated(_RAR)
    archive = Zip()
    archive.add(Told(b"a.txt", packed, len(_RAR), zlib.crc32(_RAR), method))
    assert _code(archive.whole()) == _UNSEEN


def test_many_documents_in_an_archive_are_no_bomb_however_large_they_are_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A year's invoices, as PDF or docx, which programs compress again; only one of them is in memory at a time."""
    monkeypatch.setattr(allowance, "_UNPACKED", 1 << 20)
    document = ordinary(("a.bin", bytes(600_000)), method=zipfile.ZIP_STORED)
    assert _code(ordinary(*((f"{number}.docx", document) for number in range(5)))) is None
    within = Zip()
    within.add(told(b"a.bin", bytes(600_000), STORED))
    within.add(told(b"b.docx", document))
    with pytest.raises(Closed, match="compressed again"):
        inside.look_into(io.BytesIO(gzip.compress(within.whole())), Allowance())
