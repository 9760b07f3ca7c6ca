"""What a policy would do to a file: the real inspection and the real decision, and no effect."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

from worker import clock
from worker.adapters.object_store import ObjectStore
from worker.assembly import make_inspector, make_sandbox, make_scanners
from worker.decide import decide
from worker.inspect import Inspection, Inspector
from worker.keys import default_prefix
from worker.policy import Policy
from worker.policy_file import PolicyFile
from worker.scan import Scan, Status
from worker.scratch import Scratch
from worker.settings import Settings
from worker.store.database import Database

_CHUNK = 1024 * 1024  # bytes


def explain(
    settings: Settings, rules: PolicyFile, sample: Path, service: str, filename: str, declared_type: str | None
) -> dict[str, Any]:
    """What would happen to `sample`, and why, as a record that can be printed. Raises what inspection raises."""
    policy, size = rules.of(service), sample.stat().st_size
    about = {
        "policy": f"{policy.fingerprint}, {'of its own' if service in rules.services else 'the default'}",
        "service": service,
        "file": filename,
        "size": size,
    }
    if size > policy.max_size:
        told = f"answered 413: {size} bytes, expected at most {policy.max_size}"
        return about | {"outcome": Status.REJECTED.value, "reasons": [told], "then": _then(policy, Status.REJECTED)}
    scan = _as_if_uploaded(service, filename, declared_type, size)
    objects = ObjectStore(connect_timeout=settings.connect_timeout, timeout=settings.s3_timeout)
    with (
        closing(Database(settings.database_url.get_secret_value())) as database,
        closing(make_scanners(settings, database, lambda: rules.largest_upload)) as scanners,
        closing(make_sandbox(settings)) as sandbox,
    ):
        inspector = make_inspector(settings, objects, scanners, sandbox)
        return about | _found(inspector, settings, sample, scan, policy)


def _found(inspector: Inspector, settings: Settings, sample: Path, scan: Scan, policy: Policy) -> dict[str, Any]:
    size = scan.size or 0
    with Scratch(size, memory_limit=settings.memory_limit, directory=settings.scratch_dir) as file:
        with sample.open("rb") as source:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
        file.freeze()
        inspection = inspector.inspect(file, scan, policy)
        status, reasons = decide(policy, inspection.findings)
        try:
            return {
                "detected_type": inspection.findings.detected_type,
                "also": list(inspection.findings.also),
                "signatures": list(inspection.findings.signatures),
                "scanner": inspection.scanner.engine if inspection.scanner else None,
                "outcome": status.value,
                "reasons": [{"code": each.code, "message": each.message} for each in reasons],
                "promoted": _promoted(scan, inspection, policy) if status is Status.CLEAN else None,
                "then": _then(policy, status),
                "told": str(policy.webhook_url) if policy.webhook_url else None,
            }
        finally:
            if inspection.picture:
                inspection.picture.file.close()


def _as_if_uploaded(service: str, filename: str, declared_type: str | None, size: int) -> Scan:
    now = clock.now()
    return Scan(clock.new_id(), service, Status.SCANNING, filename, declared_type, now, now, size=size)


def _promoted(scan: Scan, inspection: Inspection, policy: Policy) -> dict[str, Any]:
    picture = inspection.picture
    return {
        "type": picture.type if picture else inspection.findings.detected_type,
        "size": picture.file.size if picture else scan.size,
        "re-encoded": picture is not None,
        "key": f"{policy.prefix or default_prefix(scan.service)}ID/1-1",
    }


def _then(policy: Policy, status: Status) -> str:
    if status is Status.CLEAN:
        return "promoted to the clean bucket"
    if status is Status.UNSCANNABLE and policy.unscannable == "hold":
        return f"held in quarantine for {policy.retention_days} days, until an operator releases it"
    return "deleted"
