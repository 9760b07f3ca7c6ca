"""Puts together what looks into files, for the worker and for whoever wants to know what a worker would find."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from worker import metrics
from worker.adapters.clamd import Endpoint
from worker.adapters.object_store import ObjectStore
from worker.inspect import Inspector
from worker.sandbox import Kill, Sandbox
from worker.scanners import Scanners
from worker.settings import Environment, Settings
from worker.store.database import Database


def make_sandbox(settings: Settings) -> Sandbox:
    """A sandbox that insists, in production, on every layer of confinement; what it kills is counted."""
    metrics.sandbox_begun(Kill)
    return Sandbox(
        memory=settings.sandbox_memory,
        seconds=settings.sandbox_seconds,
        output=settings.sandbox_output,
        every_layer=settings.env is Environment.PRODUCTION,
        on_kill=metrics.sandbox_killed,
    )


def make_scanners(settings: Settings, database: Database, largest: Callable[[], int]) -> Scanners:
    """The scanners that the settings name; see `Scanners` for `largest`."""
    endpoints = [
        Endpoint(address, connect_timeout=settings.connect_timeout, timeout=settings.scan_timeout)
        for address in settings.clamd
    ]
    return Scanners(
        endpoints,
        database,
        largest=largest,
        canary_seconds=settings.canary_seconds,
        max_age=timedelta(hours=settings.signature_max_age_hours),
        development_allowed=settings.env is Environment.DEVELOPMENT,
    )


def make_inspector(settings: Settings, objects: ObjectStore, scanners: Scanners, sandbox: Sandbox) -> Inspector:
    """The tools for one file after the other."""
    return Inspector(
        objects,
        scanners,
        sandbox,
        bucket=settings.quarantine_bucket,
        memory_limit=settings.memory_limit,
        scratch_dir=settings.scratch_dir,
    )
