"""clamd on a unix socket, with the project's limits and the signatures it is given."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.accounts import private_file, private_folder
from ops.embedded.ports import LOOPBACK
from ops.embedded.programs import debian, unconfined
from ops.embedded.service import Service

LIMITS = Path(__file__).parent.parent / "clamav" / "clamd.conf"
ACCOUNT = "clamav"
_PING_SECONDS = 2.0


@dataclass
class Clamd(Service):
    """`clamd`, living in `directory`; the socket's path must be shorter than 108 bytes.

    `port`, if given, makes it listen on loopback TCP too. Where `account` is given, that account must be able to
    reach both folders.
    """

    directory: Path
    signatures: Path
    port: int | None = None
    account: str | None = None
    name: str = "clamd"
    ready_seconds: float = 180  # the official signatures take half a minute on a slow machine

    @property
    def address(self) -> str:
        """Where clients on this machine find it: they can hand over descriptors."""
        return f"unix://{self._socket}"

    @property
    def tcp_address(self) -> str:
        """Where clients find it that must stream, as they would over a network."""
        if self.port is None:
            raise ValueError("this clamd listens on no TCP port")
        return f"tcp://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        private_folder(self.directory, self.account)
        private_folder(self._scratch, self.account)
        private_file(self._configuration, LIMITS.read_text() + self._places(), self.account)

    def command(self) -> list[str]:
        program = unconfined(debian("clamd", "clamav-daemon"), self.directory)
        return [program, f"--config-file={self._configuration}"]

    def folder(self) -> Path:
        return self.directory

    def ready(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(_PING_SECONDS)
                link.connect(str(self._socket))
                link.sendall(b"zPING\0")
                return link.recv(16) == b"PONG\0"
        except OSError:
            return False

    def clear(self) -> None:
        self._socket.unlink(missing_ok=True)

    def _places(self) -> str:
        lines = [
            "",
            f"DatabaseDirectory {self.signatures}",
            f"TemporaryDirectory {self._scratch}",
            f"LocalSocket {self._socket}",
            "LocalSocketMode 660",
        ]
        if self.port is not None:
            lines += [f"TCPSocket {self.port}", f"TCPAddr {LOOPBACK}"]
        return "\n".join(lines) + "\n"

    @property
    def _socket(self) -> Path:
        return self.directory / "clamd.sock"

    @property
    def _scratch(self) -> Path:
        return self.directory / "tmp"

    @property
    def _configuration(self) -> Path:
        return self.directory / "clamd.conf"
