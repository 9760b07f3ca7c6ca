"""The calls to the object store that a file takes, and no other: each costs more than any statement to the database."""

from __future__ import annotations

import io
from functools import partial

import pytest
from PIL import Image

from ops.samples.unwelcome import executable
from tests import effects
from tests.system import System
from worker.canaries import eicar, encrypted_zip
from worker.scan import Status

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def _photo() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 48), 40).convert("RGB").save(out, "JPEG")
    return out.getvalue()


def _calls(points: list[effects.Point]) -> list[str]:
    return [point.name.removeprefix("before S3 ") for point in points if point.name.startswith("before S3 ")]


@pytest.mark.parametrize(
    ("name", "data", "status", "calls"),
    [
        ("report.pdf", PDF, Status.CLEAN, ["GetObject", "PutObject", "DeleteObject"]),
        ("photo.jpg", _photo(), Status.CLEAN, ["GetObject", "PutObject", "DeleteObject"]),
        ("invoice.txt", eicar(), Status.INFECTED, ["GetObject", "DeleteObject"]),
        ("photo.jpg", executable(), Status.REJECTED, ["GetObject", "DeleteObject"]),
        ("secret.zip", encrypted_zip(), Status.UNSCANNABLE, ["GetObject"]),
    ],
    ids=["document", "photo", "infected", "rejected", "held"],
)
def test_a_file_is_put_once_and_fetched_once(
    system: System, name: str, data: bytes, status: Status, calls: list[str]
) -> None:
    uploaded = effects.recorded(system.objects, partial(system.upload, data, name))
    assert _calls(uploaded) == ["PutObject"]
    (scan,) = system.all()
    worked = effects.recorded(system.objects, partial(system.work, scan.id))
    assert system.scan(scan.id).status is status
    assert _calls(worked) == calls
