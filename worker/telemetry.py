"""Every log event, declared once; JSON lines on standard error, with the request and the scan in each."""

from __future__ import annotations

import logging
import os
import sys
from enum import StrEnum
from importlib.metadata import version

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor


class Log(StrEnum):
    """The events that may be logged. An operator searches for these words."""

    STARTED = "started"
    UPLOAD_ACCEPTED = "upload_accepted"
    UPLOAD_REFUSED = "upload_refused"
    UPLOAD_BROKEN_OFF = "upload_broken_off"
    UPLOADS_TURNED_AWAY = "uploads_turned_away"
    UPLOADS_TAKEN_IN_AGAIN = "uploads_taken_in_again"
    ENQUEUE_FAILED = "enqueue_failed"
    SCAN_NOT_OURS = "scan_not_ours"
    SCAN_ENDED = "scan_ended"
    SCAN_POSTPONED = "scan_postponed"
    SETTLING_POSTPONED = "settling_postponed"
    SCAN_FAILED = "scan_failed"
    SCAN_LEFT = "scan_left"
    RESCAN_NOT_OURS = "rescan_not_ours"
    RESCAN_ENDED = "rescan_ended"
    RESCAN_POSTPONED = "rescan_postponed"
    RESCAN_FAILED = "rescan_failed"
    RECALLED = "recalled"
    BACKFILLED = "backfilled"
    PROMOTED_DIFFERS = "promoted_differs"
    MESSAGE_DROPPED = "message_dropped"
    LEASE_LOST = "lease_lost"
    LEASE_NOT_RENEWED = "lease_not_renewed"
    CLOCK_DIFFERS = "clock_differs"
    SANDBOX_WEAK = "sandbox_weak"
    SCANNER_TRUSTED = "scanner_trusted"
    SCANNER_REFUSED = "scanner_refused"
    SCANNER_UNREPORTED = "scanner_unreported"
    SWEPT = "swept"
    SWEEP_FAILED = "sweep_failed"
    TIDY_FAILED = "tidy_failed"
    OBJECT_DELETED = "object_deleted"
    LIMITS_NOT_COUNTED = "limits_not_counted"
    POLICY_LOADED = "policy_loaded"
    POLICY_REFUSED = "policy_refused"
    HINT_FAILED = "hint_failed"
    ENDS_NOT_HEARD = "ends_not_heard"
    WEBHOOK_DELIVERED = "webhook_delivered"
    WEBHOOK_FAILED = "webhook_failed"
    WEBHOOK_GIVEN_UP = "webhook_given_up"
    WEBHOOKS_LEFT = "webhooks_left"
    RECEIVER_LEFT_IN_PEACE = "receiver_left_in_peace"
    RETRY_ORDERED = "retry_ordered"
    RELEASE_ORDERED = "release_ordered"
    REQUEST_FAILED = "request_failed"
    OPERATOR_LOGGED_IN = "operator_logged_in"
    LOGIN_REFUSED = "login_refused"
    NOT_MEASURED = "not_measured"


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),  # locals hold keys and tokens
)


def configure() -> None:
    """Set up logging for this process: ours, and what libraries say from `WARNING` on, in the same form."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_to_standard_error,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    renderers: list[Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(),
    ]
    named = (structlog.stdlib.add_logger_name, *_SHARED)  # the name tells theirs from ours
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=named, processors=renderers))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    _take_over("uvicorn")
    _take_over("uvicorn.error")


def _take_over(name: str) -> None:
    """The logger of a library that has set up a form of its own by now."""
    theirs = logging.getLogger(name)
    theirs.handlers.clear()
    theirs.setLevel(logging.NOTSET)
    theirs.propagate = True


def started(process: str) -> None:
    """Say which of our processes begins its work here."""
    say(Log.STARTED, process=process, version=version("lazaretto"), pid=os.getpid())


def _to_standard_error(*_arguments: object) -> structlog.PrintLogger:
    """Where it leads when a line is written, not where it led at the start: tests have one each."""
    return structlog.PrintLogger(sys.stderr)


def say(event: Log, **details: object) -> None:
    """Log what is a matter of course."""
    structlog.get_logger().info(event.value, **details)


def warn(event: Log, **details: object) -> None:
    """Log what somebody may have to look at."""
    structlog.get_logger().warning(event.value, **details)


def alarm(event: Log, **details: object) -> None:
    """Log what somebody has to mend."""
    structlog.get_logger().error(event.value, **details)
