"""The settings of a running stack: what the operator set, completed with what the stack provides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from ops.embedded.accounts import private_file
from ops.embedded.dotenv_file import as_dotenv
from ops.embedded.faults import StackFault
from worker.policy_file import PolicyFault, PolicyFile
from worker.settings import Settings

_OURS = "LAZARETTO_"
_AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3")
# Those of another account would win over, or be sent along with, the embedded store's credentials.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")


@dataclass(frozen=True)
class Wishes:
    """What the operator set, as far as the embedded stack itself must know it."""

    variables: Mapping[str, str]

    def given(self, name: str) -> str | None:
        """The value of a variable that is set and not empty."""
        return self.variables.get(name) or None

    def number(self, name: str, default: int) -> int:
        """A whole number of at least 1. Raises `StackFault` for anything else."""
        text = self.given(name)
        if text is not None and not (text.isdecimal() and int(text) > 0):
            raise StackFault(f"{name} is {text!r}, expected a number of at least 1")
        return int(text) if text else default

    def path(self, name: str) -> Path | None:
        """An absolute path."""
        text = self.given(name)
        return Path(text).absolute() if text else None

    @property
    def production(self) -> bool:
        """Are weak settings a fault?"""
        return self.variables.get("LAZARETTO_ENV") == "production"


def complete(wishes: Wishes, provided: Mapping[str, str]) -> dict[str, str]:
    """The environment of every process of ours. Raises `StackFault` naming every setting that will not do, or every
    fault of the policy."""
    kept = {name: value for name, value in wishes.variables.items() if value and name not in provided}
    if "AWS_ENDPOINT_URL_S3" in provided:
        kept = {name: value for name, value in kept.items() if name not in _FOREIGN}
    variables = kept | dict(provided)
    ours = ((name, value) for name, value in variables.items() if name.startswith(_OURS))
    fields: dict[str, Any] = {name.removeprefix(_OURS).lower(): value for name, value in ours}
    try:
        settings = Settings(_env_file=None, **fields)
        PolicyFile.load(settings.policy_file)  # else each process would say so with a traceback of its own
    except ValidationError as fault:
        raise StackFault("; ".join(_named(*each["loc"]) + each["msg"] for each in fault.errors())) from fault
    except PolicyFault as fault:
        raise StackFault("the policy cannot be used\n" + fault.message) from fault
    return variables | _spelled_out(settings)


def write_stack_env(path: Path, variables: Mapping[str, str]) -> None:
    """Tell other programs how to reach this stack. Raises `StackFault` for a value that the format cannot carry."""
    shown = {name: value for name, value in variables.items() if name.startswith(_OURS) or name in _AWS}
    try:
        private_file(path, as_dotenv(dict(sorted(shown.items()))))
    except ValueError as fault:
        raise StackFault(f"cannot write {path}: {fault}") from fault


def _spelled_out(settings: Settings) -> dict[str, str]:
    """Every setting as the variable that would set it."""
    values = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return {f"{_OURS}{name.upper()}": _text(value) for name, value in values if value is not None}


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Path):
        return os.fspath(value.absolute())
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _named(*place: int | str) -> str:
    return f"{_OURS}{str(place[0]).upper()}: " if place else ""
