"""A policy that changes while everybody works."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker import policies as module
from worker.errors import LazarettoError
from worker.policies import Policies
from worker.policy_file import PolicyFault
from worker.settings import REPOSITORY

DEFAULT = (REPOSITORY / "ops" / "policy.toml").read_text()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(module, "_QUIET_SECONDS", 0.0)
    path = tmp_path / "policy.toml"
    path.write_text(DEFAULT)
    return path


def _replace(path: Path, text: str) -> None:
    """As editors do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_a_changed_file_is_in_force(path: Path) -> None:
    policies = Policies(path)
    before = policies.of("default")
    _replace(path, DEFAULT + "[services.avatars]\nmax_frames = 1\n")
    assert policies.of("avatars").max_frames == 1
    assert policies.of("default") == before


def test_a_symlink_that_turns_is_noticed(path: Path) -> None:
    link, other = path.with_name("link"), path.with_name("other")
    link.symlink_to(path)
    policies = Policies(link)
    other.write_text(DEFAULT.replace("max_frames = 1_000", "max_frames = 2"))
    link.unlink()
    link.symlink_to(other)
    assert policies.of("x").max_frames == 2


@pytest.mark.parametrize("faulty", ["[default]\n", "no toml", None])
def test_a_faulty_file_changes_nothing_and_is_told_until_it_is_mended(path: Path, faulty: str | None) -> None:
    policies = Policies(path)
    before = policies.of("x")
    if faulty is None:
        path.unlink()
    else:
        _replace(path, faulty)
    assert policies.of("x") == before
    with pytest.raises(LazarettoError, match="stays in force"):
        policies.check()
    _replace(path, DEFAULT.replace("max_frames = 1_000", "max_frames = 3"))
    assert policies.of("x").max_frames == 3
    assert "is in force" in policies.check()


def test_nothing_starts_with_a_faulty_file(path: Path) -> None:
    path.write_text("[default]\n")
    with pytest.raises(PolicyFault):
        Policies(path)
