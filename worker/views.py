"""A scan as everybody outside sees it: what the API answers, and what webhooks carry."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from worker.scan import PROMOTED, Scan, Status

# Of nothing, and of a line break: examples that are what they look like.
_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_PROMOTED_SHA256 = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b"


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReasonView(_View):
    """One finding that keeps a file from being clean."""

    code: str = Field(description="For programs; new ones may be added.", examples=["type_mismatch"])
    message: str = Field(
        description="For people.", examples=["The name says image/jpeg, the content is application/pdf."]
    )


class ScannerView(_View):
    """Who looked. `database` and its time are null with development signatures."""

    engine: str = Field(examples=["ClamAV 1.4.6"])
    database: str | None = Field(examples=["27462"])
    database_time: datetime | None = Field(examples=["2026-01-15T08:24:00Z"])
    development: bool = Field(description="Development signatures: only test files are found.", examples=[False])


class PromotedView(_View):
    """The object in the clean bucket."""

    bucket: str = Field(examples=["clean"])
    key: str = Field(
        description="Keep it as it is; how it is made may change.",
        examples=["avatars/0199c3d2-7c1f-7a52-9b1e-4d5f60718293/1-1"],
    )
    size: int = Field(
        description="In bytes; images are written anew, so it is not that of the upload.", examples=[11002]
    )
    sha256: str = Field(examples=[_PROMOTED_SHA256])
    type: str = Field(examples=["image/jpeg"])


class ErrorView(_View):
    """What last stopped a worker."""

    code: str = Field(examples=["scanner_unavailable"])
    message: str = Field(examples=["No scanner takes work; the file waits until one does."])
    retryable: bool = Field(examples=[True])


class ScanView(_View):
    """One upload and what became of it."""

    id: str = Field(description="A UUIDv7.", examples=["0199c3d2-7c1f-7a52-9b1e-4d5f60718293"])
    status: Status = Field(examples=["clean"])
    service: str = Field(description="Whose upload it is.", examples=["avatars"])
    filename: str = Field(description="As the client said.", examples=["photo.jpg"])
    size: int | None = Field(description="In bytes; null until known.", examples=[12345])
    sha256: str | None = Field(description="Of what was uploaded; null until known.", examples=[_SHA256])
    declared_type: str | None = Field(description="As the client said.", examples=["image/jpeg"])
    detected_type: str | None = Field(description="What it is; null until examined.", examples=["image/jpeg"])
    reasons: list[ReasonView] = Field(description="Every finding that keeps it from being clean.", examples=[[]])
    signatures: list[str] = Field(description="The names of the malware that was found.", examples=[[]])
    scanner: ScannerView | None
    promoted: PromotedView | None
    policy: str | None = Field(
        description="Names the version of the policy that decided; null until then.", examples=["b19973e2d5b7"]
    )
    attempts: int = Field(description="How often it has been examined.", examples=[1])
    decision: int = Field(description="Each ends in one event and one webhook; the first is 1.", examples=[1])
    error: ErrorView | None
    metadata: dict[str, Any] = Field(description="As it came with the upload.", examples=[{"album": 7}])
    created_at: datetime = Field(examples=["2026-01-15T09:30:00Z"])
    updated_at: datetime = Field(description="When its status last changed.", examples=["2026-01-15T09:30:01Z"])
    finished_at: datetime | None = Field(description="Null until it has ended.", examples=["2026-01-15T09:30:01Z"])

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """What is planned is not shown as done."""
        view = cls.model_validate(scan)
        return view if scan.status in PROMOTED else view.model_copy(update={"promoted": None})
