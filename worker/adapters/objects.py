"""What is said of the objects of a store, and to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

Before = Callable[[], None]  # what is called before each call to the store


class Place(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What the store says of an object."""

    size: int  # bytes
    etag: str
    metadata: Mapping[str, str]
    modified: datetime


class Exactly(NamedTuple):
    """The bytes that are meant."""

    size: int
    sha256: str


class Listed(NamedTuple):
    """What a listing says of an object."""

    key: str
    size: int  # bytes
    modified: datetime
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """What an upload form is sent to, and the fields it holds before the file."""

    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Label:
    """How a promoted object presents itself to whoever fetches it."""

    content_type: str
    metadata: Mapping[str, str]

    def arguments(self) -> dict[str, Any]:
        """Never shown in a page of our origin: always a download."""
        return {
            "ContentType": self.content_type,
            "ContentDisposition": "attachment",
            "Metadata": dict(self.metadata),
        }
