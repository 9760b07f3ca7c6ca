"""Between a row of `scans` and the domain's `Scan`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from worker.lanes import Lane
from worker.pixels import Pixels
from worker.scan import Promoted, Reason, Scan, ScannerInfo, Status, Verdict


def scan_from(row: RowMapping) -> Scan:
    """The domain's view of a row."""
    values: dict[str, Any] = {name: value for name, value in row.items() if name != "name_start"}
    values["status"], values["lane"] = Status(values["status"]), Lane(values["lane"])
    values["verdict"] = Status(values["verdict"]) if values["verdict"] else None
    values["reasons"] = tuple(Reason(each["code"], each["message"]) for each in values["reasons"])
    values["signatures"] = tuple(values["signatures"])
    values["scanner"] = _scanner_from(values["scanner"])
    values["promoted"] = _promoted_from(values["promoted"])
    return Scan(**values)


def verdict_values(verdict: Verdict | None) -> dict[str, Any]:
    """The columns that hold a verdict; None clears them, but for the type, which is that of the same bytes still: what
    has ended before goes on to be counted by it."""
    if verdict is None:
        empty = dict.fromkeys(("verdict", "scanner", "promoted"))
        return empty | {"reasons": [], "signatures": [], "held": False}
    return {
        "verdict": verdict.status.value,
        "reasons": [asdict(reason) for reason in verdict.reasons],
        "signatures": list(verdict.signatures),
        "detected_type": verdict.detected_type,
        "scanner": scanner_values(verdict.scanner),
        "promoted": asdict(verdict.promoted) if verdict.promoted else None,
        "held": verdict.held,
    }


def _promoted_from(value: dict[str, Any] | None) -> Promoted | None:
    if value is None:
        return None
    pixels = value.get("pixels")  # rows of earlier releases have none
    return Promoted(**{**value, "pixels": Pixels(**pixels) if pixels else None})


def _scanner_from(value: dict[str, Any] | None) -> ScannerInfo | None:
    if value is None:
        return None
    moment = value["database_time"]
    return ScannerInfo(**{**value, "database_time": datetime.fromisoformat(moment) if moment else None})


def scanner_values(scanner: ScannerInfo | None) -> dict[str, Any] | None:
    """The column that says who looked."""
    if scanner is None:
        return None
    moment = scanner.database_time
    return {**asdict(scanner), "database_time": moment.isoformat() if moment else None}
