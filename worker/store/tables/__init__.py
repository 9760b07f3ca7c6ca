"""The tables. Their history is in `worker/migrations`; a test compares the two."""

from worker.store.tables.scans import events, findings, rescans, scanners, scans
from worker.store.tables.schema import metadata
from worker.store.tables.services import api_keys, idempotency_keys, secrets, services, sessions
from worker.store.tables.statistics import rolled_up, rollups
from worker.store.tables.webhooks import deliveries, delivery_attempts, endpoints, webhook_secrets

__all__ = [
    "api_keys",
    "deliveries",
    "delivery_attempts",
    "endpoints",
    "events",
    "findings",
    "idempotency_keys",
    "metadata",
    "rescans",
    "rolled_up",
    "rollups",
    "scanners",
    "scans",
    "secrets",
    "services",
    "sessions",
    "webhook_secrets",
]
