"""The sample files are what their names promise, or promise what they are not."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from ops.samples import SAMPLES, write_samples
from worker.canaries import eicar


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("home") / "samples")


def test_they_are_written_again_without_fuss(samples: Path) -> None:
    assert {file.name for file in write_samples(samples).iterdir()} == SAMPLES.keys()


def test_the_photo_is_a_photo_and_says_where_it_was_taken(samples: Path) -> None:
    path = samples / "photo-with-gps.jpg"
    assert 60_000 < path.stat().st_size < 200_000
    with Image.open(path) as photo:
        photo.load()
        assert photo.getexif().get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (45.0, 27.0, 43.0)


def test_half_a_photo_is_none(samples: Path) -> None:
    with Image.open(samples / "cut-off.jpg") as photo, pytest.raises(OSError, match="truncated"):
        photo.load()


def test_the_pdf_says_truly_where_its_objects_are(samples: Path) -> None:
    data = (samples / "report.pdf").read_bytes()
    table = int(data.split(b"startxref\n")[1].split()[0])
    assert data[table:].startswith(b"xref\n")
    places = [int(line[:10]) for line in data[table:].splitlines() if line.endswith(b" n ")]
    assert [data[place:].split()[0] for place in places] == [b"1", b"2", b"3", b"4"]


def test_the_letter_and_the_table_open(samples: Path) -> None:
    with zipfile.ZipFile(samples / "letter.docx") as letter:
        assert letter.testzip() is None
    rows = list(csv.reader(io.StringIO((samples / "table.csv").read_text())))
    assert len({len(row) for row in rows}) == 1


def test_the_unwelcome_ones_are_recognisable(samples: Path) -> None:
    assert (samples / "eicar.txt").read_bytes() == eicar()
    program = (samples / "holiday.jpg").read_bytes()
    assert program[:2] == b"MZ"
    assert program[program[0x3C] :].startswith(b"PE\0\0")
