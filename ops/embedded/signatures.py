"""ClamAV's signatures: the best that are to be had here, and a small set for development where none are."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.accounts import group_of, private_folder
from ops.embedded.faults import StackFault
from ops.embedded.freshclam import download, reachable
from worker.canaries import eicar

SYSTEM = Path("/var/lib/clamav")
_OFFICIAL = ("*.cvd", "*.cld")
_ANY = (*_OFFICIAL, "*.ndb", "*.hdb", "*.hsb", "*.ldb")
_FORGET_FAILURE = 6 * 3600.0  # seconds until freshclam is tried again


@dataclass(frozen=True)
class Signatures:
    """A folder of signatures for clamd; `development`: none of ClamAV's own are in it."""

    directory: Path
    development: bool


def choose(folder: Path, given: Path | None, say: Callable[[str], None], *, system: Path = SYSTEM) -> Signatures:
    """The folder named by the operator; else the system's; else what freshclam fetches; else the development set.

    `folder` is where fetched or made signatures are kept. Raises `StackFault` where the given folder has none.
    """
    if given is not None:
        if not _holds(given, _ANY):
            raise StackFault(f"LAZARETTO_CLAMAV_DATABASE_DIR={given} holds no signatures, expected *.cvd or *.cld")
        return Signatures(given, development=not _holds(given, _OFFICIAL))
    fetched = folder / "db"
    for candidate in (system, fetched):
        if _holds(candidate, _OFFICIAL):
            return Signatures(candidate, development=False)
    if _try_freshclam(folder, fetched, say):
        return Signatures(fetched, development=False)
    return Signatures(write_development_set(folder / "development"), development=True)


def within_reach(folder: Path, account: str | None, spare: Path) -> Path:
    """The folder if `account` can read it, else a copy of it in `spare`: clamd does not run as root, and root's
    folders are often closed to everybody else.
    """
    if account is None:
        return folder
    looks = ["sh", "-c", 'cd "$1" && head -c 1 ./*', "sh", str(folder)]
    if subprocess.run(looks, user=account, group=group_of(account), capture_output=True, check=False).returncode == 0:
        return folder
    private_folder(spare, account)
    for file in folder.iterdir():
        if file.is_file():
            shutil.chown(shutil.copy(file, spare), account)
    return spare


def write_development_set(folder: Path) -> Path:
    """EICAR, and ClamAV's own harmless test program: enough to see every part at work. Returns the folder.

    Made at run time: a repository that contains EICAR trips its users' scanners.
    """
    private_folder(folder)
    (folder / "eicar.ndb").write_text(f"Lazaretto.Development.Eicar:0:0:{eicar().hex()}\n")
    (folder / "testfile.hdb").write_text(
        "aa15bcf478d165efd2065190eb473bcb:544:Lazaretto.Development.ClamAV-Test-File\n"
    )
    return folder


def _holds(folder: Path, patterns: tuple[str, ...]) -> bool:
    def matches() -> Iterator[Path]:
        for pattern in patterns:
            yield from folder.glob(pattern)

    return any(matches())


def _try_freshclam(folder: Path, target: Path, say: Callable[[str], None]) -> bool:
    """Fetch the official signatures unless that failed lately; a failure takes seconds, and only once in a while."""
    failure = folder / "freshclam-failed"
    if failure.exists() and time.time() - failure.stat().st_mtime < _FORGET_FAILURE:
        return False
    private_folder(folder)
    if reachable():
        say("fetching ClamAV's signatures, about 300 MB, once")
        if download(target):
            return True
    failure.touch()
    return False
