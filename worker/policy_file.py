"""The policy file: read as a whole, or refused with every fault and its line."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from worker.errors import Permanent
from worker.policy import ImagePolicy, LimitPolicy, Policy
from worker.toml_lines import Lines

SERVICE_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_TABLES: dict[str, type[BaseModel]] = {"images": ImagePolicy, "limits": LimitPolicy}


class PolicyFault(Permanent):
    """The policy file cannot be used."""

    code = "policy_fault"

    def __init__(self, faults: list[str]) -> None:
        """`faults`: each a line of its own, with where it stands."""
        super().__init__("\n".join(faults), expected="a policy as ops/policy-reference.md describes it")
        self.faults = faults


class PolicyFile(BaseModel):
    """The policy file: a default for every service, and what is different for some."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Policy
    services: dict[Annotated[str, Field(pattern=SERVICE_NAME)], Policy] = {}

    @model_validator(mode="before")
    @classmethod
    def _inherit(cls, raw: Any) -> Any:
        """A service says only what is different; the rest is the default's, also inside a table."""
        match raw:
            case {"default": dict(default), "services": dict(services)}:
                return raw | {"services": {name: _merged(default, own) for name, own in services.items()}}
        return raw

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and validate. Raises `PolicyFault` naming every fault."""
        try:
            text = path.read_text()
            return cls.model_validate(raw := tomllib.loads(text))
        except ValidationError as fault:
            raise PolicyFault(list(_told(path, Lines(text), raw, fault.errors()))) from fault
        except OSError as fault:
            raise PolicyFault([f"{path}: {fault.strerror}"]) from fault
        except (ValueError, RecursionError) as fault:  # tomllib has its own only for what is no TOML
            raise PolicyFault([f"{path}: {fault}"]) from fault

    @property
    def largest_upload(self) -> int:
        """What the scanners must be able to take, in bytes."""
        return max(policy.max_size for policy in (self.default, *self.services.values()))

    @property
    def fingerprint(self) -> str:
        """Names the whole of it in logs."""
        each = [self.default.fingerprint, *(f"{name}={p.fingerprint}" for name, p in sorted(self.services.items()))]
        return hashlib.sha256(" ".join(each).encode()).hexdigest()[:12]

    def of(self, service: str) -> Policy:
        """The rules for a service."""
        return self.services.get(service, self.default)


def _merged(default: dict[str, Any], own: Any) -> Any:
    if not isinstance(own, dict):
        return own  # a fault that validation names
    tables = {name: default[name] | value for name, value in own.items() if _are_tables(default.get(name), value)}
    return default | own | tables


def _are_tables(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


def _told(path: Path, lines: Lines, raw: Any, errors: list[ErrorDetails]) -> Iterator[str]:
    """Each fault, in the order of the file; one that a service inherits is the default's alone."""
    found = [error for error in errors if not _is_inherited(error["loc"], raw)]
    for error in sorted(found or errors, key=lambda error: lines.of(error["loc"])):
        where = ".".join(str(step) for step in error["loc"] if step != "[key]") or "the file"
        yield f"{path}:{lines.of(error['loc'])}: {where}: {_said(error)}"


def _is_inherited(place: tuple[str | int, ...], raw: Any) -> bool:
    match place:
        case ("services", str(service), str(key), *_) if key != "[key]":
            own = raw["services"][service]
            return isinstance(own, dict) and key not in own
    return False


def _said(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return f"there is no such key{_nearest(error['loc'])}"
        case "missing":
            return "missing; every policy needs it, its own or the default's"
        case "string_pattern_mismatch" if "[key]" in error["loc"]:
            return "no name of a service, expected a-z, 0-9, - and _, beginning with a letter or digit"
        case "frozen_set_type":
            return f"expected a list, got {error['input']!r:.80}"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and error["loc"][-1] == "webhook_url":
        return message  # and not the password in it: this goes to the log
    sentence = message if message[1:2].isupper() else message[0].lower() + message[1:]  # URL stays URL
    return f"got {error['input']!r:.80}; {sentence}"


def _nearest(place: tuple[str | int, ...]) -> str:
    """The key that was probably meant."""
    *tables, key = place
    model: type[BaseModel] = _TABLES.get(str(tables[-1]), Policy) if tables else PolicyFile
    near = difflib.get_close_matches(str(key), model.model_fields, 1)
    return f"; is {near[0]} meant?" if near else f", expected one of {', '.join(model.model_fields)}"
