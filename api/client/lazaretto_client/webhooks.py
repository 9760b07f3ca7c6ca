"""The receiving side of webhooks (https://www.standardwebhooks.com): nothing is believed that is not signed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from lazaretto_client.faults import WebhookInvalid
from lazaretto_client.records import Record, Scan, moment

_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
_DAMAGED = "a webhook secret is empty or damaged, expected whsec_ and base64"


@dataclass(frozen=True, slots=True)
class Event:
    """What a webhook tells. The same `id` may arrive more than once: whoever counts, counts ids."""

    id: str
    type: str  # "scan." and the status, such as scan.clean; others may come, and webhook.test does
    timestamp: datetime | None
    scan: Scan | None  # None where the event is about no scan
    raw: Record = field(default_factory=dict, repr=False, compare=False)


def verify_webhook(body: bytes | str, headers: Mapping[str, str], secrets: str | Iterable[str]) -> Event:
    """The event that a webhook carries, if one of our secrets signed it within the last five minutes.

    `body`: the bytes as they came, not JSON written anew. `secrets`: one, or several while they are exchanged.
    Raises `WebhookInvalid`; answer such a request with 400. Raises `ValueError` for a secret that is none.
    """
    verifiers = [_verifier(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    given = {name.lower(): value for name, value in headers.items()}
    if lacking := [name for name in _HEADERS if not given.get(name)]:
        raise WebhookInvalid(f"this is no webhook: it lacks {', '.join(lacking)}")
    for verifier in verifiers:
        if (said := _verified(verifier, body, given)) is not None:
            return _event(given["webhook-id"], said)
    raise WebhookInvalid("no secret of ours has signed this webhook lately")


def _verifier(secret: str) -> Webhook:
    """The library takes almost any text; an API key in the secret's place would look like forged webhooks."""
    try:
        if secret.startswith("whsec_"):
            return Webhook(secret)
    except (EmptyWebhookSecretError, ValueError) as fault:
        raise ValueError(_DAMAGED) from fault
    raise ValueError(_DAMAGED)


def _verified(verifier: Webhook, body: bytes | str, headers: dict[str, str]) -> Any:
    """The content, or None. Whatever the library stumbles over is an attacker's: it raises more than its own."""
    try:
        return verifier.verify(body, headers)
    except Exception:  # noqa: BLE001
        return None


def _event(message_id: str, said: Any) -> Event:
    try:
        scan = Scan.of(said["data"]) if said["type"].startswith("scan.") else None
        return Event(message_id, said["type"], moment(said["timestamp"]), scan, said)
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise WebhookInvalid(f"the webhook is signed, and no event that this client knows: {fault!r}") from fault
