"""Every metric, declared once, and the values that its labels may have.

The names begin with `lazaretto_`; times are in seconds, sizes in bytes. Labels are few and bounded: route templates,
never paths; services on record, never what a client calls itself; no id and no file name. What is counted here lies in
files that all processes of a machine share (`metric_files`), or in this process alone; what can be asked for at any
moment (`STANDING`) is measured when somebody scrapes (`standing`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from worker.scan import Status

PREFIX = "lazaretto"
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALLS = (0, 1, 2, 3, 4, 6, 8, 12, 20, 50)
_STEP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_SCAN_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


class Way(StrEnum):
    """How a file came."""

    FORM = "form"
    RAW = "raw"
    DIRECT = "direct"


class Refused(StrEnum):
    """Why an upload was turned away before its first byte."""

    WAITING = "waiting"
    DISK = "disk"


class Step(StrEnum):
    """A part of one attempt at a scan. `seal` holds a `fetch`; `inspect` holds the next three."""

    FETCH = "fetch"
    SEAL = "seal"
    INSPECT = "inspect"
    SNIFF = "sniff"
    SCAN = "scan"
    IMAGE = "image"
    SETTLE = "settle"


class Attempt(StrEnum):
    """What became of one attempt at a scan. `lost`: its lease went to somebody else meanwhile."""

    ENDED = "ended"
    POSTPONED = "postponed"
    FAILED = "failed"
    LOST = "lost"


class SecondLook(StrEnum):
    """What a rescan found. `skipped`: the file was moved on meanwhile; `failed`: nobody knows, the file stays."""

    CLEAN = "clean"
    INFECTED = "infected"
    UNSCANNABLE = "unscannable"
    FAILED = "failed"
    SKIPPED = "skipped"


class Delivered(StrEnum):
    """What became of an attempt to deliver a webhook; `given_up`: or of one that nobody attempts any more."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GIVEN_UP = "given_up"


# What is measured at a scrape: name → meaning and labels.
STANDING: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "queue_waiting": ("Scans, or rescans, that wait for a worker.", ("queue",)),
    "queue_oldest_seconds": ("How long the first of them has been in line; 0 where none is.", ("queue",)),
    "scans": ("Scans that have not ended, and files that are held.", ("status",)),
    "settling_oldest_seconds": ("How long ago the oldest verdict was recorded that is not carried out yet.", ()),
    "webhooks_pending": ("Webhooks that have been neither delivered nor given up.", ()),
    "webhook_oldest_seconds": ("How long the oldest is overdue whose receiver is not left in peace.", ()),
    "scanner_up": ("Does the scanner pass its canaries? As a worker last found.", ("scanner",)),
    "signature_age_seconds": ("Age of the signatures of a scanner that takes work.", ("scanner",)),
    "dependency_up": ("Does it answer the process that was scraped?", ("dependency",)),
    "policy_refused": ("Is the policy file as it is now not in force, for its faults?", ()),
    "build_info": ("1; the version is the label.", ("version",)),
}


class Instruments:
    """All others. Made with the first use, when it is settled where their values lie."""

    def __init__(self) -> None:
        disable_created_metrics()  # processes that share files have none
        self.registry = CollectorRegistry()
        self._declare_http()
        self._declare_scans()
        self._declare_machinery()

    def _declare_http(self) -> None:
        self.requests = self._counter("http_requests", "Answers.", "route", "method", "status")
        self.request_seconds = self._histogram(
            "http_request_seconds",
            "From a request to the head of its answer, without what the client was waited for.",
            _REQUEST_SECONDS,
            *("route", "method"),
        )
        self.database_calls = self._histogram("http_database_calls", "Statements for one request.", _CALLS, "route")
        self.uploads = self._counter("uploads", "Files that were taken in.", "service", "way")
        self.upload_bytes = self._counter("upload_bytes", "Their sizes.", "service")
        self.uploads_turned_away = self._counter(
            "uploads_turned_away", "Uploads that were answered 503, for want of room.", "cause"
        )
        expect(self.uploads_turned_away, Refused)
        self.limits_not_counted = self._counter(
            "limits_not_counted", "Requests and uploads that no limit was applied to: Redis was away."
        )

    def _declare_scans(self) -> None:
        self.ended = self._counter("scans_ended", "Ends of decisions.", "service", "status")
        self.scan_seconds = self._histogram(
            "scan_seconds", "From the arrival of a file to the end of its first decision.", _SCAN_SECONDS, "status"
        )
        self.step_seconds = self._histogram("scan_step_seconds", "One step of an attempt.", _STEP_SECONDS, "step")
        self.attempts = self._counter("scan_attempts", "Attempts at scans, by what became of them.", "outcome")
        self.rescans = self._counter("rescans", "Second looks at promoted files.", "outcome")
        expect(self.scan_seconds, LOOKED_AT)
        expect(self.step_seconds, Step)
        expect(self.attempts, Attempt)
        expect(self.rescans, SecondLook)

    def _declare_machinery(self) -> None:
        self.findings = self._counter("sweeper_findings", "What the sweeper set right.", "finding")
        self.last_sweep = Gauge(
            "sweeper_last_sweep_timestamp_seconds",
            "When a sweep last ended without a fault, in seconds since 1970.",
            namespace=PREFIX,
            registry=self.registry,
            multiprocess_mode="max",  # outlives its process: that it grows old is what tells
        )
        self.deliveries = self._counter("webhook_deliveries", "Attempts to deliver a webhook.", "outcome")
        self.kills = self._counter("sandbox_kills", "Sandboxed processes that did not end by themselves.", "reason")
        self.layers_missing = Gauge(
            "sandbox_layers_missing",
            "Layers of confinement that a worker's machine does not give.",
            namespace=PREFIX,
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        expect(self.deliveries, Delivered)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, namespace=PREFIX, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, namespace=PREFIX, registry=self.registry, buckets=buckets)


LOOKED_AT = (Status.CLEAN, Status.INFECTED, Status.REJECTED, Status.UNSCANNABLE, Status.FAILED)
ENDS = tuple(status for status in Status if status.ended)


@cache
def instruments() -> Instruments:
    """All metrics of this process."""
    return Instruments()


def expect(metric: Counter | Histogram, values: Iterable[str]) -> None:
    """Have these be 0 until they are counted: an alert on what was never seen would not see its first."""
    for value in values:
        metric.labels(value)
