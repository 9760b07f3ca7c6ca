"""The folder of one embedded stack, `$LAZARETTO_HOME`: its lock, its ports, its secrets and its short paths."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from dotenv import dotenv_values

from ops.embedded.accounts import private_file, private_folder
from ops.embedded.dotenv_file import as_dotenv
from ops.embedded.faults import StackFault
from ops.embedded.ports import choose

_LONGEST_SOCKET = 107  # bytes in the path of a unix socket
_LONGEST_NAME = len("/clamav/clamd.sock")
_PREFIX = "lazaretto-"


class Home:
    """Ours alone, from `open` until `close`."""

    def __init__(self, path: Path) -> None:
        """Take the folder, made if needed. Raises `StackFault` where another stack holds it, or it cannot be made."""
        self.path = path.absolute()
        try:
            private_folder(self.path)
            self._lock = _locked(self.path / "stack.lock")
        except BlockingIOError:
            raise StackFault(f"another stack is running in {self.path}; stop it, or set LAZARETTO_HOME") from None
        except OSError as fault:
            raise StackFault(f"LAZARETTO_HOME={self.path} cannot be used: {fault.strerror}") from fault
        self._memory = self.path / "memory.json"
        self.runtime = self._short_folder()

    def close(self) -> None:
        """Let another stack have it."""
        if self.runtime != self.path:
            shutil.rmtree(self.runtime, ignore_errors=True)
        self._lock.close()

    @property
    def logs(self) -> Path:
        """Where the children's output goes, a file each."""
        return self.path / "logs"

    def metrics(self) -> Path:
        """Where processes keep what they count; empty, as Prometheus expects of what starts anew."""
        folder = self.path / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        private_folder(folder)
        return folder

    def ports(self, names: Iterable[str]) -> dict[str, int]:
        """A free port for each name; the same ones as last time if they are still free."""
        chosen = choose(names, self._recall().get("ports"))
        self._remember("ports", chosen)
        return chosen

    def secrets(self, names: Iterable[str]) -> dict[str, str]:
        """A random secret for each name, drawn once in the life of this home."""
        file = self.path / "secrets.env"
        known = {name: value for name, value in dotenv_values(file).items() if value}
        wanted = {name: known.get(name) or secrets.token_hex(24) for name in names}
        if wanted.keys() - known.keys():
            private_file(file, as_dotenv(known | wanted))
        return wanted

    def _short_folder(self) -> Path:
        """Where sockets can be: here, unless the path is too long, or closed to servers that do not run as root."""
        if os.geteuid() != 0 and len(os.fsencode(self.path)) + _LONGEST_NAME <= _LONGEST_SOCKET:
            return self.path
        folder = self._same_as_last_time() or Path(tempfile.mkdtemp(prefix=_PREFIX, dir="/var/tmp"))
        folder.chmod(0o711)  # to be passed through, not read
        self._remember("runtime", str(folder))
        return folder

    def _same_as_last_time(self) -> Path | None:
        """The remembered folder, empty: addresses that last are easier to follow through logs and records."""
        folder = Path(self._recall().get("runtime", ""))
        if not folder.name.startswith(_PREFIX):
            return None
        try:
            if folder.exists() and folder.lstat().st_uid == os.geteuid():
                shutil.rmtree(folder)  # left by a stack that was killed
            folder.mkdir(mode=0o700)
        except OSError:  # it is somebody else's now
            return None
        return folder

    def _recall(self) -> dict[str, Any]:
        try:
            memory = json.loads(self._memory.read_text())
        except (OSError, ValueError):
            return {}
        return memory if isinstance(memory, dict) else {}

    def _remember(self, name: str, value: object) -> None:
        private_file(self._memory, json.dumps(self._recall() | {name: value}))


def _locked(path: Path) -> TextIO:
    """The file, held by this process until it is closed. Raises `BlockingIOError` where another holds it."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise
    return file
