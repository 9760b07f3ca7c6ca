"""What an operator orders, as use cases put it on record."""

from __future__ import annotations

from fastapi import Request

from worker.operations import Order
from worker.scan import Mover
from worker.services import Caller


def ordered(request: Request, caller: Caller, reason: str | None = None) -> Order:
    """By whom, and with which request; `reason`: in their own words."""
    return Order(caller.actor, Mover.OPERATOR, request.state.request_id, reason)
