"""The folder of one stack: who may use it, what it remembers, and paths that fit into a socket's address."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.embedded.faults import StackFault
from ops.embedded.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home(tmp_path / "home")
    yield opened
    opened.close()


def test_a_home_belongs_to_one_stack_at_a_time(home: Home) -> None:
    with pytest.raises(StackFault, match=f"another stack is running in {home.path}"):
        Home(home.path)


def test_a_closed_home_can_be_opened_again(tmp_path: Path) -> None:
    Home(tmp_path).close()
    Home(tmp_path).close()


def test_nobody_else_can_look_into_a_home(home: Home) -> None:
    home.secrets(["PASSWORD"])
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.path / "secrets.env").stat().st_mode) == 0o600


def test_secrets_are_drawn_once(home: Home) -> None:
    first = home.secrets(["A", "B"])
    assert home.secrets(["A", "B", "C"]) == first | {"C": home.secrets(["C"])["C"]}
    assert len(set(home.secrets(["A", "B", "C"]).values())) == 3
    assert all(len(secret) >= 32 for secret in first.values())


def test_ports_stay_the_same_while_they_are_free(home: Home) -> None:
    first = home.ports(["redis", "s3"])
    assert home.ports(["redis", "s3"]) == first
    with socket.create_server(("127.0.0.1", first["redis"])):
        second = home.ports(["redis", "s3"])
    assert second["s3"] == first["s3"]
    assert second["redis"] != first["redis"]


@pytest.mark.parametrize("length", [1, 200])
def test_sockets_fit_into_a_home_of_any_length(tmp_path: Path, length: int) -> None:
    home = Home(tmp_path / ("long" * length)[:250])
    with socket.socket(socket.AF_UNIX) as listener:
        folder = home.runtime / "clamav"
        folder.mkdir()
        listener.bind(str(folder / "clamd.sock"))
    home.close()


def test_a_short_folder_is_gone_afterwards_and_comes_back_by_the_same_name(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 50)
    home = Home(path)
    runtime = home.runtime
    home.close()
    assert runtime != path
    assert not runtime.exists()
    again = Home(path)
    assert again.runtime == runtime
    again.close()


def test_a_short_folder_that_somebody_else_took_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / ("long" * 50)
    home = Home(path)
    runtime = home.runtime
    home.close()
    runtime.symlink_to(tmp_path)
    try:
        again = Home(path)
        assert again.runtime != runtime
        again.close()
        assert runtime.is_symlink()
    finally:
        runtime.unlink()


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackFault, match=r"LAZARETTO_HOME=.*/file/home cannot be used: Not a directory"):
        Home(tmp_path / "file" / "home")


def test_forgetting_everything_is_not_a_fault(home: Home) -> None:
    (home.path / "memory.json").write_text("{half")
    assert home.ports(["redis"])["redis"] > 0
    assert os.access(home.path / "memory.json", os.R_OK)
