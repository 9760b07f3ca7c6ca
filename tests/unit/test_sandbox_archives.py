"""Archives that libarchive reads, in this process: every file in them is seen, and what that may cost is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import struct
from collections.abc import Callable

import pytest

from ops.samples.documents import word_document
from tests.corpus import ole_builder, rar_builder, seven_builder
from tests.corpus.archive_makers import TEXT, noise
from tests.corpus.container_makers import Entry, binary_cpio, cabinet, lha, written
from tests.corpus.zip_builder import ordinary
from worker.sandbox.allowance import Allowance
from worker.sandbox.closed import Closed
from worker.sandbox.containers import archive_reader, compressed, disc_image, inside

_HEAD = 1000  # bytes
_FILES: tuple[Entry, ...] = (("a.txt", TEXT), ("b.bin", noise(300_000)), ("c.txt", b"c"), ("d.bin", bytes(200_000)))
_ARCHIVES: dict[str, tuple[str, Callable[..., bytes]]] = {
    "7z": ("7zip", lambda *entries: written("7zip", *entries)),
    "cab": ("cab", cabinet),
    "cpio": ("cpio", lambda *entries: written("cpio_newc", *entries)),
    "binary cpio": ("cpio", binary_cpio),
    "iso": ("iso9660", lambda *entries: written("iso9660", *entries)),
    "xar": ("xar", lambda *entries: written("xar", *entries)),
    "lha": ("lha", lha),
}


def _closed(data: bytes, allowance: Allowance | None = None) -> str | None:
    """Why it is; None where it is not."""
    try:
        inside.look_into(io.BytesIO(data), allowance or Allowance())
    except Closed as closed:
        return closed.refused.message
    return None


@pytest.mark.parametrize("kind", _ARCHIVES)
def test_each_file_is_given_as_it_is(kind: str) -> None:
    form, make = _ARCHIVES[kind]
    reader = archive_reader.contents(io.BytesIO(make(*_FILES)), form, _HEAD, Allowance())
    found = {(content.head[:_HEAD], content.open().getvalue()) for content in reader}  # type: ignore[attr-defined]
    assert found == {(data[:_HEAD], data) for _, data in _FILES}


@pytest.mark.parametrize("kind", _ARCHIVES)
def test_what_is_passed_over_does_not_hide_what_follows(kind: str) -> None:
    form, make = _ARCHIVES[kind]
    reader = archive_reader.contents(io.BytesIO(make(*_FILES)), form, _HEAD, Allowance())
    assert {content.head[:_HEAD] for content in reader} == {data[:_HEAD] for _, data in _FILES}


def test_archives_are_read_within_one_another() -> None:
    """Each goes on where it was, after what lay in it has been looked into."""
    rar = ("z.rar", rar_builder.rar5())
    inner = written("7zip", ("a.cab", cabinet(("a.txt", TEXT), ("b.lzh", lha(("b", TEXT))))), ("b.txt", TEXT))
    assert _closed(written("cpio_newc", ("a.7z", inner), ("c.txt", TEXT))) is None
    assert "RAR" in (_closed(written("cpio_newc", ("a.7z", inner), rar)) or "")
    assert archive_reader._sources == {}


def test_a_file_that_only_one_kind_of_reader_sees_is_seen() -> None:
    """Directory records, ECMA-119, 9.1, begin with their length; behind a zero there are no more in the sector."""
    data = written("iso9660", ("a.txt", TEXT), ("z.rar", rar_builder.rar5()))
    for name, tree in ((b"Z.RAR;1", disc_image.TREES[1]), ("z.rar".encode("utf-16-be"), disc_image.TREES[0])):
        record = data.index(name) - 33
        hidden = data[:record] + b"\0" + data[record + 1 :]
        shown = archive_reader.contents(io.BytesIO(hidden), "iso9660", _HEAD, Allowance(), options=tree)
        assert [content.head for content in shown] == [TEXT]
        assert "RAR" in (_closed(hidden) or "")
        assert _closed(hidden.replace(b"Rar!", b"text")) is None


def test_an_image_with_a_second_format_in_it_is_closed() -> None:
    data = bytearray(written("iso9660", ("a.txt", TEXT)))
    end = data.index(b"\xffCD001")
    assert _closed(bytes(data)) is None
    data[end + 2048 : end + 2048 + 6] = b"\0BEA01"
    assert "UDF" in (_closed(bytes(data)) or "")


def test_what_a_cabinet_leaves_out_counts_too() -> None:
    """40,000 blocks unpack to 1.3 GB, wherever the one file in them lies."""
    data = bytearray(cabinet(("a.txt", TEXT)))
    assert _closed(bytes(data)) is None
    struct.pack_into("<H", data, 36 + 4, 40_000)
    assert "compressed again" in (_closed(bytes(data)) or "")
    struct.pack_into("<H", data, 36 + 6, 0)  # stored, it costs nothing
    assert "compressed again" not in (_closed(bytes(data)) or "")


def test_what_is_passed_over_in_a_solid_7z_counts() -> None:
    allowance = Allowance()
    allowance.unpack(200 << 20)
    assert _closed(seven_builder.zeros(10, TEXT)) is None
    assert "compressed again" in (_closed(seven_builder.zeros(40, TEXT), allowance) or "")


@pytest.mark.parametrize("kind", _ARCHIVES)
def test_files_are_counted(kind: str) -> None:
    allowance = Allowance()
    allowance.count(99_990, 0, 0)
    _, make = _ARCHIVES[kind]
    assert "entries" in (_closed(make(*((f"{number}.txt", b"x") for number in range(20))), allowance) or "")


@pytest.mark.parametrize(
    "beginning",
    [
        b"07070 1234567\n07071 1234567\n",  # telephone numbers
        b"070701 is a year and a day\n",
        b"xar! said the raven\n",
        b"MSCF is four letters\n",
        b"a -lh5- b\n",
        b"\x60\xea" + bytes(range(50)),
        b"\xc7\x71" + b"\xff" * 50,
        b"EGGATHON\n",
    ],
)
def test_what_only_begins_like_an_archive_is_none(beginning: bytes) -> None:
    assert _closed(beginning + b"and so on, and so forth\n" * 2000) is None


def test_compressed_files_of_several_parts_unpack_to_one() -> None:
    parts = [noise(100_000), b"", b"x", bytes(3 << 20)]
    file = io.BytesIO(b"".join(gzip.compress(each) + bytes(7) for each in parts) + b"nobody's")
    whole = b"".join(parts)
    assert compressed.head(file, 100_005, Allowance()) == whole[:100_005]
    assert compressed.unpacked(file, Allowance()).read() == b""  # it stands at its end
    assert compressed.unpacked(file, Allowance()).seek(0, io.SEEK_END) == len(whole)


def test_parts_that_hold_nothing_are_counted() -> None:
    with pytest.raises(Closed, match="10000 parts"):
        compressed.unpacked(io.BytesIO(gzip.compress(b"") * 10_001), Allowance())


def test_a_second_stream_of_bzip2_is_found_wherever_it_begins() -> None:
    first, second = bz2.compress(noise(1_400_000)), bz2.compress(TEXT)
    compressed.check(io.BytesIO(first))
    for place in range((1 << 20) - 12, (1 << 20) + 3):  # where one piece that is read ends, and the next begins
        with pytest.raises(Closed, match="several streams"):
            compressed.check(io.BytesIO(first[:place] + second))


@pytest.mark.parametrize("size", [100, 20_000])  # in small sectors, and in large ones
def test_a_file_that_was_dragged_into_a_document_is_looked_into(size: int) -> None:
    rar = rar_builder.rar5(noise(size))
    text = {"WordDocument": bytes(4096)}
    for name, stream in (
        ("\x01Ole10Native", ole_builder.dragged_in("a.rar", rar)),
        ("Package", rar),
        ("CONTENTS", rar),
    ):
        assert "RAR" in (_closed(ole_builder.compound(text | {name: stream})) or "")
    for data in (word_document(), TEXT, ordinary(("a.txt", TEXT)), noise(size)):
        for name, stream in (
            ("\x01Ole10Native", ole_builder.dragged_in("a.bin", data)),
            ("Package", data),
            ("CONTENTS", data),
        ):
            assert _closed(ole_builder.compound(text | {name: stream})) is None
    assert _closed(ole_builder.compound(text | {"\x01Ole10Native": b"\4\0\0\0abcd"})) is None
