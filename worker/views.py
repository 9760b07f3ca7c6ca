"""A scan as everybody outside sees it: what the API answers, and what webhooks carry."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from worker.scan import PROMOTED, Scan, Status


class _View(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class ReasonView(_View):
    """One finding that keeps a file from being clean."""

    code: str = Field(examples=["type_mismatch"])
    message: str


class ScannerView(_View):
    """Who looked. `database` and its time are null with development signatures."""

    engine: str = Field(examples=["ClamAV 1.4.6"])
    database: str | None = Field(examples=["27462"])
    database_time: datetime | None
    development: bool = Field(description="Development signatures: only test files are found.")


class PromotedView(_View):
    """The object in the clean bucket."""

    bucket: str
    key: str
    size: int
    sha256: str
    type: str


class ErrorView(_View):
    """What last stopped a worker."""

    code: str
    message: str
    retryable: bool


class ScanView(_View):
    """One upload and what became of it."""

    id: str
    status: Status
    service: str
    filename: str
    size: int | None = Field(description="In bytes; null until known.")
    sha256: str | None
    declared_type: str | None
    detected_type: str | None
    reasons: list[ReasonView]
    signatures: list[str]
    scanner: ScannerView | None
    promoted: PromotedView | None
    policy: str | None = Field(description="Names the version of the policy that decided; null until then.")
    attempts: int
    decision: int
    error: ErrorView | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, scan: Scan) -> Self:
        """What is planned is not shown as done."""
        view = cls.model_validate(scan)
        return view if scan.status in PROMOTED else view.model_copy(update={"promoted": None})
