"""The policy file: read as a whole, or refused with every fault and its line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.errors import Permanent
from worker.policy import Policy

_SERVICE = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class PolicyFile(BaseModel):
    """The policy file: a default for every service, and what is different for some."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Policy
    services: dict[Annotated[str, Field(pattern=_SERVICE)], Policy] = {}

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
        """Read and validate. Raises `Permanent` naming every fault."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as fault:
            raise Permanent(f"policy {path}: {fault}", expected="a readable TOML file") from fault
        except ValidationError as fault:
            listed = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in fault.errors())
            raise Permanent(f"policy {path}: " + "; ".join(listed)) from fault

    @property
    def largest_upload(self) -> int:
        """What the scanners must be able to take, in bytes."""
        return max(policy.max_size for policy in (self.default, *self.services.values()))

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
