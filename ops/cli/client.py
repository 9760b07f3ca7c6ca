"""The API of the stack whose settings are in the environment, in `.env`, or in the home's `stack.env`."""

from __future__ import annotations

from lazaretto_client import Lazaretto
from ops.cli import installation
from worker.errors import LazarettoError


def connect(*, retries: int = 4) -> Lazaretto:
    """A client of it. `retries`: none where somebody waits for an answer. Raises `LazarettoError`."""
    known = installation.known()
    host, port = known.get("LAZARETTO_HOST", "127.0.0.1"), known.get("LAZARETTO_PORT", "8000")
    key = known.get("LAZARETTO_API_KEY") or known.get("LAZARETTO_BOOTSTRAP_API_KEY")
    if not key:
        raise LazarettoError("no API key is known", expected="LAZARETTO_API_KEY, or the stack.env of a running stack")
    return Lazaretto(known.get("LAZARETTO_URL") or f"http://{host}:{port}", key, retries=retries)
