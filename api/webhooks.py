"""What webhooks carry, for the documentation: nothing is served here, the notifier sends them (`worker.deliver`)."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from worker.views import ScanView

router = APIRouter(tags=["webhooks"])


class WebhookView(BaseModel):
    """An event, as Standard Webhooks has it."""

    type: str = Field(examples=["scan.clean"], description="`scan.` and the status in which the decision ended.")
    timestamp: datetime = Field(description="When that was.", examples=["2026-01-15T08:24:01.250000Z"])
    data: ScanView


@router.post(
    "scan-ended",
    operation_id="scan_ended",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="Heard, and not sent again; so with any other 2xx.",
    responses={"default": {"description": "Sent again, for as long as the installation says; after 410 never."}},
)
def scan_ended(
    event: WebhookView,
    webhook_id: Annotated[
        str,
        Header(
            description="The same each time that this event is sent.",
            examples=["msg_0199c3d2-7c1f-7a52-9b1e-4d5f60718293"],
        ),
    ],
    webhook_timestamp: Annotated[
        str, Header(description="Of this attempt: seconds since 1970.", examples=["1768465441"])
    ],
    webhook_signature: Annotated[
        str,
        Header(
            description="One for each secret that is valid, with spaces between.",
            examples=["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="],
        ),
    ],
) -> None:
    """A decision about a scan has ended: sent to the `webhook_url` of the service's policy, signed as
    https://www.standardwebhooks.com says. May come twice, and events in any order: `data.decision` tells which is
    newer. The type `webhook.test`, whose `data` is no scan, is sent where somebody asks for it."""
