"""The policy: what a service may upload, and what becomes of it."""

from __future__ import annotations

import difflib
import hashlib
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ByteSize, ConfigDict, Field, HttpUrl, model_validator

from worker import media_types

_PREFIX = r"^([a-z0-9][a-z0-9_.-]{0,62}/){1,8}$"


def _known(name: str) -> str:
    if name not in media_types.BY_NAME:
        near = difflib.get_close_matches(name, media_types.BY_NAME, 1)
        known = f"is {near[0]} meant?" if near else f"expected one of {', '.join(sorted(media_types.BY_NAME))}"
        raise ValueError(f"unknown media type; {known}")
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
