"""Which signatures the embedded clamd gets."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from ops.embedded.accounts import confined
from ops.embedded.faults import StackFault
from ops.embedded.signatures import Signatures, choose, within_reach, write_development_set
from worker.canaries import eicar

REPOSITORY = Path(__file__).parent.parent.parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where freshclam has failed a moment ago, so that no test asks the network."""
    kept = tmp_path / "clamav"
    kept.mkdir()
    (kept / "freshclam-failed").touch()
    return kept


def _official(folder: Path) -> Path:
    folder.mkdir()
    (folder / "daily.cld").touch()
    return folder


def _choose(folder: Path, given: Path | None = None, system: Path = Path("/nonexistent")) -> Signatures:
    return choose(folder, given, say=print, system=system)


def test_the_operators_choice_comes_first(folder: Path, tmp_path: Path) -> None:
    given, system = _official(tmp_path / "given"), _official(tmp_path / "system")
    assert _choose(folder, given, system) == Signatures(given, development=False)


def test_a_choice_without_signatures_is_a_fault(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StackFault, match="holds no signatures, expected"):
        _choose(folder, tmp_path)


def test_the_systems_signatures_come_before_fetched_ones(folder: Path, tmp_path: Path) -> None:
    system = _official(tmp_path / "system")
    fetched = _official(folder / "db")
    assert _choose(folder, system=system) == Signatures(system, development=False)
    assert _choose(folder) == Signatures(fetched, development=False)


def test_without_any_there_is_the_development_set(folder: Path) -> None:
    assert _choose(folder) == Signatures(folder / "development", development=True)


def test_a_failure_is_remembered_and_costs_nothing(folder: Path) -> None:
    began = time.monotonic()
    _choose(folder)
    assert time.monotonic() - began < 0.5


def test_a_given_development_set_is_known_for_one(folder: Path, tmp_path: Path) -> None:
    made = write_development_set(tmp_path / "made")
    assert _choose(folder, made) == Signatures(made, development=True)


def test_the_development_set_finds_eicar_and_clamavs_test_program(tmp_path: Path) -> None:
    made = write_development_set(tmp_path)
    assert (made / "eicar.ndb").read_text().split(":")[3].strip() == eicar().hex()
    assert (made / "testfile.hdb").read_text().startswith("aa15bcf478d165efd2065190eb473bcb:544:")


def test_whoever_runs_clamd_can_read_its_signatures(tmp_path: Path) -> None:
    """Root's own folders are closed to the account that clamd runs as."""
    account = confined("clamav")
    found = within_reach(write_development_set(tmp_path / "made"), account, tmp_path / "spare")
    owners = {file.owner() for file in found.iterdir()}
    assert owners == {account or Path.home().owner()}
    assert {file.name for file in found.iterdir()} == {"eicar.ndb", "testfile.hdb"}


def test_the_repository_does_not_trip_its_users_scanners() -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    files = [REPOSITORY / os.fsdecode(name) for name in names.split(b"\0") if name]
    assert not [file for file in files if file.is_file() and eicar() in file.read_bytes()]
