"""The one table of types, and what a name or a declaration may change."""

from __future__ import annotations

import pytest

from worker.media_types import KNOWN, UNDECLARED, extension_of, fits_declared, fits_extension, meant, served_as


@pytest.mark.parametrize(
    ("filename", "extension"),
    [
        ("photo.jpg", "jpg"),
        ("PHOTO.JPG", "jpg"),
        ("archive.tar.gz", "gz"),
        ("README", None),
        (".profile", None),
        ("Dr. Who", None),
        ("Meeting 12.05", None),
        ("song.mp3", "mp3"),
        ("archive.7z", "7z"),
        ("a.jpg ", "jpg"),
        ("a.", None),
        ("", None),
        ("../../etc/passwd", None),
        ("x.jpg\0.exe", "exe"),
        ("фото.jpg", "jpg"),
        ("a.b/c", None),
        ("evil.js ", "js"),
        ("evil.js.", "js"),
        ("evil..js", "js"),
        ("evil.js\N{NO-BREAK SPACE}", "js"),
        ("evil.js\N{ZERO WIDTH SPACE}", "js"),
        ("evil.js::$DATA", "js"),
        ("evil.settingcontent-ms", "settingcontent-ms"),
        ("gpj\N{RIGHT-TO-LEFT OVERRIDE}.exe", "exe"),
    ],
)
def test_extension_of(filename: str, extension: str | None) -> None:
    assert extension_of(filename) == extension


@pytest.mark.parametrize(
    ("declared", "filename", "detected", "result"),
    [
        ("text/csv", "a.csv", "text/plain", "text/csv"),
        (None, "a.csv", "text/plain", "text/csv"),
        ("text/csv", "a", "text/plain", "text/csv"),
        ("application/vnd.ms-excel", "a.csv", "text/plain", "text/csv"),
        ("application/octet-stream", "a.csv", "text/plain", "text/csv"),
        (None, "a.json", "text/plain", "application/json"),
        (None, "notes.txt", "application/json", "text/plain"),
        ("text/csv", "a.txt", "text/plain", "text/plain"),
        (None, "a.json", "text/csv", "application/json"),
        (None, "a.csv", "application/json", "text/csv"),
        (None, "a.csv", "text/csv", "text/csv"),
        (None, "a.xlsx", "application/encrypted", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (None, "a.xlsx", "application/x-ole-storage", "application/x-ole-storage"),
        (None, "a.exe", "application/encrypted", "application/encrypted"),
        ("image/jpeg", "a.jpg", "text/plain", "text/plain"),
        ("image/jpeg", "a.jpg", "application/x-dosexec", "application/x-dosexec"),
        ("text/csv", "a.csv", "text/html", "text/html"),
        ("text/plain", "a.txt", "text/html", "text/html"),
        (None, "", "text/plain", "text/plain"),
    ],
)
def test_a_name_narrows_a_broader_type_and_changes_nothing_else(
    declared: str | None, filename: str, detected: str, result: str
) -> None:
    assert meant(declared, filename, detected) == result


def test_the_table_is_consistent() -> None:
    names = [each.name for each in KNOWN]
    assert len(names) == len(set(names))
    for each in KNOWN:
        assert each.extensions, each.name
        assert each.broader is None or each.broader in names
        assert not set(each.aliases) & UNDECLARED
        assert fits_extension(f"x.{each.extensions[0]}", each.name)
        assert all(fits_declared(alias, each.name) for alias in each.aliases)


def test_an_unknown_type_fits_nothing_but_its_own_name() -> None:
    assert not fits_extension("a.exe", "application/x-dosexec")
    assert not fits_declared("image/jpeg", "application/x-dosexec")
    assert fits_declared("application/x-dosexec", "application/x-dosexec")


@pytest.mark.parametrize("declared", ["", " ", "undefined", "image", "*/*", "image/*", "jpg; x=y", "<b>/x", "a/b/c"])
def test_what_is_no_media_type_claims_nothing(declared: str) -> None:
    assert fits_declared(declared, "image/jpeg")


def test_nothing_that_a_browser_runs_is_served_by_its_name() -> None:
    for name in ("text/html", "image/svg+xml", "text/xml", "application/xhtml+xml", "text/javascript"):
        assert served_as(name) == "application/octet-stream"
    for known in KNOWN:
        assert served_as(known.name) == known.name
