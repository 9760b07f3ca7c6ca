"""The policy: what a service may upload, and what its findings mean. `decide` is a pure function."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, HttpUrl, ValidationError, model_validator

from worker import media_types
from worker.errors import Permanent
from worker.scan import SEVERITY, Reason, ReasonCode, Status

_PREFIX = r"^([a-z0-9][a-z0-9_.-]{0,62}/){1,8}$"
_SERVICE = r"^[a-z0-9][a-z0-9_-]{0,62}$"


def _known(name: str) -> str:
    if name not in media_types.BY_NAME:
        raise ValueError(f"unknown media type, expected one of {', '.join(sorted(media_types.BY_NAME))}")
    return name


class ImagePolicy(BaseModel):
    """What becomes of the images that are accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    treatment: Literal["reencode", "keep"] = "reencode"
    format: Literal["jpeg", "png", "webp", "avif"] | None = None  # of still images; None: each keeps its own
    quality: int | None = Field(None, ge=1, le=100)  # where pixels are lost; None: what suits the format
    max_width: int | None = Field(None, gt=0)  # pixels; larger images are scaled down, in proportion
    max_height: int | None = Field(None, gt=0)  # likewise

    @property
    def keep(self) -> bool:
        """Are the original bytes promoted, once they have been checked?"""
        return self.treatment == "keep"

    @model_validator(mode="after")
    def _nothing_to_change(self) -> Self:
        if self.keep and (asked := sorted(self.model_dump(exclude={"treatment"}, exclude_none=True))):
            raise ValueError(
                f"images that are kept as they are have no {', '.join(asked)}, expected treatment = reencode"
            )
        return self


class LimitPolicy(BaseModel):
    """How much a service may ask for; what is left out has no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int | None = Field(None, gt=0)  # of any kind
    bytes_per_day: ByteSize | None = Field(None, gt=0)  # of uploads, in a day of UTC


class Policy(BaseModel):
    """The rules for one service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: frozenset[Annotated[str, AfterValidator(_known)]]
    max_size: ByteSize  # bytes
    max_pixels: int = Field(gt=0)  # of one frame or page
    max_frames: int = Field(gt=0)  # of an animation; pages of a TIFF
    max_total_pixels: int = Field(1_000_000_000, gt=0)  # of all frames or pages together
    max_side: int = Field(65_535, gt=0)  # pixels; width and height
    max_profile_size: ByteSize = ByteSize(4 << 20)  # bytes of an image's colour profile
    max_metadata_size: ByteSize = ByteSize(64 << 20)  # bytes of an image's other metadata, uncompressed
    images: ImagePolicy = ImagePolicy()
    limits: LimitPolicy = LimitPolicy()
    prefix: str | None = Field(
        None, pattern=_PREFIX
    )  # of keys in the clean bucket; None: the service's name and a slash
    unscannable: Literal["hold", "delete"] = "hold"
    webhook_url: HttpUrl | None = None  # who is told of every outcome; None: nobody
    retention_days: int = Field(30, gt=0)  # how long a file is held that could not be scanned, or whose scan failed

    @property
    def retention(self) -> timedelta:
        """How long a held file waits for somebody to decide."""
        return timedelta(days=self.retention_days)

    @property
    def fingerprint(self) -> str:
        """Names this very policy on the records that it decided."""
        canonical = self.model_dump(mode="json") | {"types": sorted(self.types)}
        return hashlib.sha256(repr(sorted(canonical.items())).encode()).hexdigest()[:12]


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


@dataclass(frozen=True, slots=True)
class Findings:
    """What inspection found out about exact bytes."""

    filename: str
    declared_type: str | None
    detected_type: str
    reasons: tuple[Reason, ...] = ()  # what scanner, sniffing and image decoder hold against it
    signatures: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # what else other programs would take the same bytes for


def decide(policy: Policy, findings: Findings) -> tuple[Status, tuple[Reason, ...]]:
    """The verdict: the most severe of all reasons' statuses, or clean; and every reason."""
    reasons = findings.reasons + _type_reasons(policy, findings)
    found = {reason.status for reason in reasons}
    return next((status for status in SEVERITY if status in found), Status.CLEAN), reasons


def _type_reasons(policy: Policy, findings: Findings) -> tuple[Reason, ...]:
    detected = findings.detected_type
    if detected == media_types.EMPTY:
        return (Reason(ReasonCode.EMPTY_FILE, "The file is empty, expected at least one byte."),)
    reasons = []
    if not policy.types.intersection(media_types.possible(detected)):
        allowed = ", ".join(sorted(policy.types))
        message = f"The content is {detected}, which is not allowed here, expected one of {allowed}."
        reasons.append(Reason(ReasonCode.TYPE_NOT_ALLOWED, message))
    if not media_types.fits_declared(findings.declared_type, detected):
        message = f"The content is {detected}, but it was declared as {findings.declared_type}."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    if not media_types.fits_extension(findings.filename, detected):
        extension = media_types.extension_of(findings.filename)
        message = f"The content is {detected}, which files called .{extension} do not hold."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    made_anew = media_types.is_image(detected) and not policy.images.keep  # then what else it was is gone
    if findings.also and not made_anew:
        message = f"The content is {detected}, but also {' and '.join(findings.also)}, expected one thing only."
        reasons.append(Reason(ReasonCode.TYPE_MISMATCH, message))
    return tuple(reasons)
