"""Where the machine keeps its servers' programs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from ops.embedded.faults import StackFault

# Debian keeps clamd out of an ordinary user's PATH, and PostgreSQL's servers out of everybody's.
_ELSEWHERE = ["/usr/local/sbin", "/usr/sbin", "/sbin"]
_POSTGRES = Path("/usr/lib/postgresql")


def debian(name: str, package: str) -> str:
    """The full path of a program from a Debian package. Raises `StackFault` naming the package to install."""
    versions = sorted(_POSTGRES.glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_ELSEWHERE, *map(str, versions)])
    found = shutil.which(name, path=path)
    if found is None:
        raise StackFault(f"{name} is not installed; run: sudo apt-get install --no-install-recommends {package}")
    return found


def ours(name: str) -> str:
    """The full path of a program of our own Python environment."""
    return str(Path(sys.executable).parent / name)


def unconfined(program: str, folder: Path) -> str:
    """The program, or a copy of it in `folder` where AppArmor is on.

    Ubuntu and Debian ship AppArmor profiles for clamd and freshclam that allow the system's folders only, and
    attach them by the program's path; a copy has no profile.
    """
    switch = Path("/sys/module/apparmor/parameters/enabled")
    if not switch.exists() or switch.read_text().strip() != "Y":
        return program
    copy = shutil.copy(program, folder / Path(program).name)
    return str(copy)
