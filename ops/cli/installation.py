"""Where the installation is that a command is about: the environment, `.env`, or the home's `stack.env`."""

from __future__ import annotations

import os
from pathlib import Path

from dotenv import dotenv_values

from worker.errors import Permanent

_DATABASE, _STORE = "LAZARETTO_DATABASE_URL", "AWS_ENDPOINT_URL_S3"
# Those of another account would win over, or be sent along with, the credentials of a stack's own store.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


def known() -> dict[str, str | None]:
    """The environment wins over `.env`, which wins over what a running stack wrote."""
    own = _own()
    return {**_stack(own), **own}


def find() -> None:
    """Have this process, and boto3 in it, find a running stack by itself.

    All of a stack or nothing: whoever names another database means another installation, and whoever names another
    store has credentials for it.
    """
    own = _own()
    stack = _stack(own)
    if own.get(_DATABASE) not in (None, "", stack.get(_DATABASE)):
        return
    if stack.get(_STORE) and not own.get(_STORE):
        for name in _FOREIGN:
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in stack.items() if name.startswith("AWS_") and value})
    for name, value in stack.items():
        if value and not name.startswith("AWS_") and not own.get(name):
            os.environ[name] = value


def _own() -> dict[str, str | None]:
    return {**dotenv_values(".env"), **os.environ}


def _stack(own: dict[str, str | None]) -> dict[str, str | None]:
    path = Path(own.get("LAZARETTO_HOME") or "var") / "stack.env"
    try:
        return dotenv_values(path)
    except PermissionError as fault:
        raise Permanent(f"{path} holds secrets and is not yours", expected="the account that runs the stack") from fault
