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


def _deliverable(url: HttpUrl) -> HttpUrl:
    """A receiver that would be refused at each delivery is refused here; and what is in the URL goes on record."""
    if url.username is not None or url.password is not None:
        raise ValueError("it holds a user name or password, expected a URL without: it stands in logs and on record")
    return url


class ImagePolicy(BaseModel):
    """What becomes of the images that are accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    treatment: Literal["reencode", "keep"] = Field(
        "reencode",
        description="`reencode`: made anew, upright, in sRGB, without metadata and without a byte of the original; "
        "`keep`: promoted as they are, metadata included, once they have been decoded from end to end",
    )
    format: Literal["jpeg", "png", "webp", "avif"] | None = Field(
        None, description="what still images become; else each stays what it is, but HEIC becomes JPEG and BMP PNG"
    )
    quality: int | None = Field(
        None, ge=1, le=100, description="1 to 100, where pixels are lost; else what suits the format"
    )
    max_width: int | None = Field(None, gt=0, description="pixels; larger images are scaled down, in proportion")
    max_height: int | None = Field(None, gt=0, description="likewise")

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

    requests_per_minute: int | None = Field(None, gt=0, description="requests of any kind, of all keys together")
    bytes_per_day: ByteSize | None = Field(None, gt=0, description="bytes uploaded in a day of UTC")


class Policy(BaseModel):
    """The rules for one service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    types: frozenset[Annotated[str, AfterValidator(_known)]] = Field(
        description="what the content may be, whatever the file is called; everything else is rejected"
    )
    max_size: ByteSize = Field(description="bytes of a file; ClamAV looks into no more than 2 GiB")
    max_pixels: int = Field(gt=0, description="pixels of an image's frame or page")
    max_frames: int = Field(gt=0, description="frames of an animation, pages of a TIFF")
    max_total_pixels: int = Field(1_000_000_000, gt=0, description="pixels of all frames or pages together")
    max_side: int = Field(65_535, gt=0, description="pixels; width and height")
    max_profile_size: ByteSize = Field(ByteSize(4 << 20), description="bytes of an image's colour profile")
    max_metadata_size: ByteSize = Field(ByteSize(64 << 20), description="bytes of its other metadata, uncompressed")
    prefix: str | None = Field(
        None, pattern=_PREFIX, description="what keys in the clean bucket begin with; else the service's name and `/`"
    )
    unscannable: Literal["hold", "delete"] = Field(
        "hold", description="what becomes of a file that cannot be scanned: held for an operator, or deleted"
    )
    retention_days: int = Field(
        30, gt=0, description="how long a file is held that was not scanned, or whose scan failed"
    )
    webhook_url: Annotated[HttpUrl, AfterValidator(_deliverable)] | None = Field(
        None, description="who is told of every outcome; else nobody"
    )
    images: ImagePolicy = Field(ImagePolicy(), description="what becomes of images that are accepted")
    limits: LimitPolicy = Field(LimitPolicy(), description="how much may be asked for")

    @property
    def retention(self) -> timedelta:
        """`retention_days`."""
        return timedelta(days=self.retention_days)

    @property
    def fingerprint(self) -> str:
        """Names this very policy on the records that it decided."""
        canonical = self.model_dump(mode="json") | {"types": sorted(self.types)}
        return hashlib.sha256(repr(sorted(canonical.items())).encode()).hexdigest()[:12]
