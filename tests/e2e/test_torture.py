"""Nothing lost, nothing promoted unproven, whatever dies. `make torture` is the long form."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import Site
from tests.torture import SETTINGS, torture

WORKERS = 8  # on one queue


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for sockets, and open to the accounts that servers run as."""
    with tempfile.TemporaryDirectory(prefix="torture-", dir="/var/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("postgresql", [False, True], ids=["sqlite", "postgresql"])
def test_nothing_is_lost_whatever_dies(
    folder: Path, development_signatures: Path, request: pytest.FixtureRequest, postgresql: bool
) -> None:
    long = request.config.getoption("--torture")
    files, blows, pause = (2000, 200, 1.0) if long else (60, 10, 1.0)
    scratch = folder / "scratch"
    scratch.mkdir()
    settings = SETTINGS | {"LAZARETTO_SCRATCH_DIR": str(scratch)}
    with Site.running(folder, development_signatures, settings, postgresql=postgresql, workers=WORKERS) as site:
        figures = torture(site, files=files, blows=blows, pause=pause, seed=20261123)
    print("\n".join(figures))
