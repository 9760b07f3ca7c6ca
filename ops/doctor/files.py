"""Who else on this machine may read or replace what is ours, and is there room?"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from ops.doctor.check import Check, Finding, fail, judged, not_applicable, ok, warn, worst
from ops.doctor.subject import Subject
from worker.settings import Settings

_SECRET_FILES = ("stack.env", "secrets.env")
_GIB = 1024**3
_LEAST_ROOM = 1 * _GIB  # bytes
_LEAST_SHARE = 0.1  # of a disk


def _home(subject: Subject) -> Finding:
    home = subject.settings.home
    if not home.exists():
        return not_applicable(f"there is no {home}")
    return judged(_open_to_others(home), f"{home} is closed to others")


def _secret_files(subject: Subject) -> Finding:
    home = subject.settings.home
    there = [path for path in (Path(".env"), *(home / name for name in _SECRET_FILES)) if path.exists()]
    if not there:
        return not_applicable("no file holds settings")
    faults = [fault for path in there for fault in _open_to_others(path)]
    return judged(faults, f"{', '.join(str(path) for path in there)}: closed to others")


def _database_file(subject: Subject) -> Finding:
    url = make_url(subject.settings.database_url.get_secret_value())
    if url.get_backend_name() != "sqlite":
        return not_applicable("the database is a server")
    file = Path(url.database or "")
    if not file.exists():
        return fail(f"there is no database {file}")
    beside = [path for path in (file, *(Path(f"{file}{end}") for end in ("-wal", "-shm", "-turns"))) if path.exists()]
    return judged((fault for path in beside for fault in _open_to_others(path)), f"{file} is closed to others")


def _policy_file(subject: Subject) -> Finding:
    file = subject.settings.policy_file.absolute()
    return judged(_replaceable(file), f"only {_owner(file)} can change {file}")


def _scratch(subject: Subject) -> Finding:
    folder = scratch_folder(subject.settings)
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(f"{folder} cannot be written to")
    return judged(_replaceable(folder / "file"), f"{folder}: files there have no name, and nobody else's replace ours")


def _disk_room(subject: Subject) -> Finding:
    settings = subject.settings
    places = {settings.home, scratch_folder(settings)}
    url = make_url(settings.database_url.get_secret_value())
    if url.get_backend_name() == "sqlite":
        places.add(Path(url.database or "").absolute().parent)
    return worst(_room(place, settings.min_free_disk) for place in sorted(places) if place.exists())


def scratch_folder(settings: Settings) -> Path:
    """Where large files lie while they are scanned."""
    return settings.scratch_dir or Path(tempfile.gettempdir())


def _room(place: Path, least: int) -> Finding:
    disk = os.statvfs(place)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    said = f"{place} has {free / _GIB:.1f} of {size / _GIB:.1f} GiB"
    if disk.f_files and not disk.f_favail:
        return fail(f"{place} has no room for another file (inodes)")
    if free < max(_LEAST_ROOM, least):
        return fail(said + (", and uploads are turned away" if free < min(least, size // 10) else ""))
    return warn(said) if free < size * _LEAST_SHARE else ok(said)


def _open_to_others(path: Path) -> Iterator[str]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield f"{path} has mode {mode:03o}"


def _replaceable(path: Path) -> Iterator[str]:
    """By whom who is neither its owner nor root: itself, or a folder on the way, where no sticky bit keeps it; also on
    the way to where links lead."""
    ways = [way for end in (path, path.resolve()) for way in (end, *end.parents)]
    for each in dict.fromkeys(ways):
        if not each.exists():
            continue
        found = each.stat()
        sticky = each.is_dir() and found.st_mode & stat.S_ISVTX
        if found.st_mode & 0o022 and not sticky:
            yield f"others can change {each} (mode {stat.S_IMODE(found.st_mode):03o})"


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:
        return f"account {path.stat().st_uid}"


CHECKS = (
    Check(
        name="home",
        what="who can look into LAZARETTO_HOME",
        expected="mode 700: it holds secrets, logs and the database",
        mend="chmod go= on what is named",
        look=_home,
    ),
    Check(
        name="secret-files",
        what="who can read .env, stack.env and secrets.env",
        expected="mode 600",
        mend="chmod 600 on what is named, and change the secrets in it: they may have been read",
        look=_secret_files,
    ),
    Check(
        name="database-file",
        what="who can read SQLite's files",
        expected="mode 600: they hold what webhooks are signed with",
        mend="chmod 600 on what is named; lazaretto webhooks secret SERVICE --rotate",
        look=_database_file,
    ),
    Check(
        name="policy-file",
        what="who can change the policy",
        expected="its owner alone, also along the folders that lead to it",
        mend="chmod go-w on what is named",
        look=_policy_file,
    ),
    Check(
        name="scratch",
        what="the folder of files that are being scanned",
        expected="can be written to; others may write there only with the sticky bit",
        mend="chmod go-w on what is named, or set LAZARETTO_SCRATCH_DIR",
        look=_scratch,
    ),
    Check(
        name="disk-room",
        what="room on the disks of home, scratch and database",
        expected="a tenth of each free, and 1 GiB at least",
        mend="make room, or move LAZARETTO_HOME or LAZARETTO_SCRATCH_DIR to a larger disk",
        look=_disk_room,
    ),
)
