"""TCP ports on loopback for the servers of one stack."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable, Mapping

LOOPBACK = "127.0.0.1"
# Below Linux' ephemeral ports (32768 and up), which any outgoing connection may occupy for a while.
_RANGE = range(20000, 32000)
_random = random.SystemRandom()


def free(port: int, host: str = LOOPBACK) -> bool:
    """Could a server listen there now? Raises `OSError` where the host is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closing connections do not count
        try:
            probe.bind((host, port))
        except OSError as fault:
            if isinstance(fault, socket.gaierror):
                raise
            return False
        return True


def choose(names: Iterable[str], remembered: Mapping[str, int] | None = None) -> dict[str, int]:
    """A free port for each name: the remembered one where it is still free."""
    chosen: dict[str, int] = {}
    for name in names:
        port = (remembered or {}).get(name, 0)
        while port not in _RANGE or port in chosen.values() or not free(port):
            port = _random.choice(_RANGE)
        chosen[name] = port
    return chosen
