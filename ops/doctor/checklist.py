"""Every check, in the order in which they are told."""

from __future__ import annotations

from ops.doctor import (
    api,
    broker,
    buckets,
    clocks,
    configuration,
    database,
    files,
    identity,
    keys,
    logs,
    processes,
    sandbox,
    scanners,
    secrets,
    transport,
    versions,
)
from ops.doctor.check import Check

CHECKLIST: tuple[Check, ...] = (
    *configuration.CHECKS,
    *secrets.CHECKS,
    *files.CHECKS,
    *logs.CHECKS,
    *database.CHECKS,
    *broker.CHECKS,
    *buckets.CHECKS,
    *identity.CHECKS,
    *scanners.CHECKS,
    *sandbox.CHECKS,
    *versions.CHECKS,
    *clocks.CHECKS,
    *transport.CHECKS,
    *api.CHECKS,
    *processes.CHECKS,
    *keys.CHECKS,
)
