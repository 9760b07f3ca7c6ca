"""Webhooks are believed where one of our secrets signed them lately, and otherwise never."""

from __future__ import annotations

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from lazaretto_client import WebhookInvalid, verify_webhook


def _secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


OURS, NEXT, THEIRS = _secret(), _secret(), _secret()
SAID: dict[str, Any] = {
    "type": "scan.clean",
    "timestamp": "2026-01-02T03:04:05Z",
    "data": {"id": "7", "status": "clean", "filename": "a", "finished_at": "2026-01-02T03:04:05Z", "new": 1},
}
BODY = json.dumps(SAID).encode()


def _signed(body: bytes = BODY, secret: str = OURS, late: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=late)
    signature = Webhook(secret).sign("msg_1", at, body.decode())
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": signature,
    }


@pytest.mark.parametrize("ours", [OURS, [OURS], [NEXT, OURS], (OURS, NEXT)])
def test_what_is_signed_is_parsed(ours: str | list[str]) -> None:
    event = verify_webhook(BODY, _signed(), ours)
    assert event.scan is not None
    assert (event.id, event.type, event.scan.id, event.scan.status) == ("msg_1", "scan.clean", "7", "clean")
    assert event.timestamp == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert event.raw == SAID


def test_an_event_about_no_scan_is_one_too() -> None:
    body = b'{"type": "webhook.test", "timestamp": "2026-01-02T03:04:05Z", "data": {"service": "a"}}'
    event = verify_webhook(body, _signed(body), OURS)
    assert (event.type, event.scan, event.raw["data"]) == ("webhook.test", None, {"service": "a"})


def test_the_sender_may_sign_twice_while_secrets_are_exchanged() -> None:
    headers = _signed()
    headers["Webhook-Signature"] = f"{_signed(secret=NEXT)['Webhook-Signature']} {headers['Webhook-Signature']}"
    assert verify_webhook(BODY, headers, OURS) == verify_webhook(BODY, headers, NEXT)


@pytest.mark.parametrize(
    ("body", "signed", "instead"),
    [
        (BODY, {"secret": THEIRS}, {}),
        (BODY, {"late": 330}, {}),
        (BODY, {"late": -330}, {}),
        (BODY + b" ", {}, {}),
        (b"\xff", {}, {}),
        (BODY, {}, {"Webhook-Id": "msg_2"}),
        (BODY, {}, {"Webhook-Timestamp": "soon"}),
        (BODY, {}, {"Webhook-Timestamp": "nan"}),
        (BODY, {}, {"Webhook-Signature": "v1"}),
        (BODY, {}, {"Webhook-Signature": "v1,a,b"}),
        (BODY, {}, {"Webhook-Signature": "v1,\u00e4"}),
    ],
)
def test_nothing_else_is_believed(body: bytes, signed: dict[str, Any], instead: dict[str, str]) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(body, _signed(**signed) | instead, [OURS, NEXT])


def test_neither_nothing_nor_another_version_is_believed() -> None:
    headers = _signed()
    other = {"Webhook-Signature": headers["Webhook-Signature"].replace("v1,", "v2,")}
    for each in ({}, headers | other):
        with pytest.raises(WebhookInvalid):
            verify_webhook(BODY, each, OURS)


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b'"x"', b"{", b'{"type": "t", "timestamp": "", "data": {}}'])
def test_what_is_signed_and_no_event_is_invalid(body: bytes) -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(body, _signed(body), OURS)


def test_what_was_never_a_webhook_is_told_apart_from_a_wrong_secret() -> None:
    with pytest.raises(WebhookInvalid, match="it lacks webhook-signature"):
        verify_webhook(BODY, {name: value for name, value in _signed().items() if name != "Webhook-Signature"}, OURS)


def test_without_a_secret_nothing_is_believed() -> None:
    with pytest.raises(WebhookInvalid):
        verify_webhook(BODY, _signed(), [])


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_\u00e4", "lz_abcdefgh_c2VjcmV0", OURS.removeprefix("whsec_")])
def test_a_damaged_secret_is_the_programs_fault(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_webhook(BODY, _signed(), secret)
