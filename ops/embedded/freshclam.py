"""Fetching ClamAV's official signatures."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ops.embedded.accounts import confined, group_of, private_file, private_folder
from ops.embedded.faults import StackFault
from ops.embedded.programs import debian, unconfined

MIRROR = "database.clamav.net"
_PROBE_SECONDS = 3
_DOWNLOAD_SECONDS = 300
_PROBE = f"import socket; socket.create_connection(({MIRROR!r}, 443), {_PROBE_SECONDS}).close()"


def reachable() -> bool:
    """Is there a way to the mirror? Takes seconds at most, a resolver that does not answer included."""
    try:
        probe = subprocess.run(
            [sys.executable, "-I", "-c", _PROBE], timeout=_PROBE_SECONDS, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return probe.returncode == 0


def download(target: Path) -> bool:
    """Fill `target` with the official signatures. False where that failed, which leaves nothing behind."""
    account = confined("clamav")
    with tempfile.TemporaryDirectory(prefix="lazaretto-freshclam-", dir="/var/tmp") as name:
        workshop = private_folder(Path(name), account)
        arrivals = private_folder(workshop / "db", account)
        try:
            program = unconfined(debian("freshclam", "clamav-freshclam"), workshop)
        except StackFault:
            return False
        lines = (f"DatabaseMirror {MIRROR}", f"DatabaseDirectory {arrivals}", "ConnectTimeout 5", "MaxAttempts 1")
        settings = private_file(workshop / "freshclam.conf", "\n".join(lines) + "\n", account)
        if not _succeeds([program, f"--config-file={settings}", "--foreground"], account):
            return False
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(arrivals, target)
    return True


def _succeeds(command: list[str], account: str | None) -> bool:
    try:
        done = subprocess.run(
            command,
            timeout=_DOWNLOAD_SECONDS,
            capture_output=True,
            check=False,
            user=account,
            group=group_of(account) if account else None,
            extra_groups=[] if account else None,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
