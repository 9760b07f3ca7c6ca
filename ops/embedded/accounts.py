"""Running servers as nobody in particular: root starts them, but they do not run as root."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path


def confined(name: str) -> str | None:
    """The account to run a server as: `name` where we are root, None (ourselves) everywhere else."""
    return name if os.geteuid() == 0 else None


def group_of(account: str) -> int:
    """The primary group's number. Raises `KeyError` for an unknown account."""
    return pwd.getpwnam(account).pw_gid


def private_folder(path: Path, account: str | None = None) -> Path:
    """The folder, made if needed, for `account` (None: ourselves) alone."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    if account is not None:
        shutil.chown(path, account, group_of(account))
    return path


def private_file(path: Path, text: str, account: str | None = None) -> Path:
    """Write a file that is never, not even for a moment, readable by others or half written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    if account is not None:
        shutil.chown(draft, account, group_of(account))
    return draft.replace(path)
