"""The judge sees what is wrong: each property broken once, on purpose."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.audit import audit
from tests.system import System
from worker.canaries import eicar, encrypted_zip
from worker.keys import sealed_key
from worker.scan import Cause, Mover, Scan, Status
from worker.store import events

PDF = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


def _verdict(system: System, **expected: Status) -> list[str]:
    found = {scan.filename.split(".")[0]: scan.id for scan in system.all()}
    wanted = {found.get(name, name): frozenset({status}) for name, status in expected.items()}
    return audit(system.database, system.objects, system.settings, wanted)


@pytest.fixture
def scans(system: System) -> dict[str, Scan]:
    """One of each outcome."""
    return {
        "clean": system.outcome(PDF, "clean.pdf"),
        "infected": system.outcome(eicar(), "infected.txt"),
        "held": system.outcome(encrypted_zip(), "held.zip"),
    }


def test_nothing_is_wrong_with_a_system_at_rest(system: System, scans: dict[str, Scan]) -> None:
    assert len(scans) == 3
    assert _verdict(system, clean=Status.CLEAN, infected=Status.INFECTED, held=Status.UNSCANNABLE) == []


def _overwrite(system: System, scans: dict[str, Scan]) -> None:
    promoted = scans["clean"].promoted
    assert promoted is not None
    system.objects.put(promoted.bucket, promoted.key, PDF.replace(b"1 0", b"2 0"))


def _delete_promoted(system: System, scans: dict[str, Scan]) -> None:
    promoted = scans["clean"].promoted
    assert promoted is not None
    system.objects.delete(promoted.bucket, promoted.key)


def _decide_again(system: System, scans: dict[str, Scan]) -> None:
    with system.database.write() as connection:
        events.add(connection, scans["clean"], Status.SETTLING, Cause(Mover.WORKER, "again"))


CASES: dict[str, Callable[[System, dict[str, Scan]], object]] = {
    "lost: nobody was answered with 202": lambda _system, _scans: None,
    "wrong outcome:": lambda _system, _scans: None,
    "is scanning": lambda system, scans: system.amend(scans["clean"].id, status="scanning"),
    "wrong record:": lambda system, scans: system.amend(scans["clean"].id, promoted=None),
    "decided 2 times": _decide_again,
    "no such way": _decide_again,
    "left behind: sealed/": lambda system, scans: system.objects.put(
        system.settings.quarantine_bucket, sealed_key(scans["infected"].id), b"x"
    ),
    "is held and not there": lambda system, scans: system.objects.delete(
        system.settings.quarantine_bucket, sealed_key(scans["held"].id)
    ),
    "which no record names": lambda system, _scans: system.objects.put(system.settings.clean_bucket, "a/b/1-1", b"x"),
    "holds other bytes": _overwrite,
    "is promoted and not there": _delete_promoted,
    "an unfinished upload of k": lambda system, _scans: system.objects.begin(system.settings.clean_bucket, "k"),
}


@pytest.mark.parametrize("said", CASES)
def test_what_is_wrong_is_said(system: System, scans: dict[str, Scan], said: str) -> None:
    CASES[said](system, scans)
    wrong = _verdict(system, nobody=Status.CLEAN, held=Status.CLEAN)
    assert any(said in each for each in wrong), wrong
