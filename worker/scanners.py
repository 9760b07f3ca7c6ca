"""The scanners: which of them may be trusted, and what their replies mean.

A scanner that cannot see must not be trusted: before its first file and regularly, each must flag its canaries and
have signatures that are young enough.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from worker import clock, telemetry
from worker.adapters.clamd import Endpoint, Reply, Version
from worker.canaries import check_reach, fly_canaries
from worker.errors import DatabaseUnavailable, ScannerFailed, ScannerUnavailable, Transient
from worker.scan import Reason, ReasonCode, ScannerInfo
from worker.store import scanners as stored
from worker.store.database import Database
from worker.telemetry import Log

LARGEST = 2**31 - 3  # bytes; the largest file that ClamAV looks into: what its MaxFileSize is cut down to
_RETRY_SECONDS = 5.0  # between looks at a scanner that is not trusted
# What ClamAV calls what it does not unpack: dictionaries of more than 1 GiB, entries that lie in one another.
_BEYOND_LIMITS = ("Heuristics.Limits.Exceeded", "Heuristics.XZ.DicSizeLimit", "Heuristics.Zip.OverlappingFiles")
_VERSION_SECONDS = 5.0  # how long a version may be remembered: signatures change while we work


@dataclass(frozen=True, slots=True)
class Examination:
    """What a scanner holds against a file; nothing, if it found it clean."""

    scanner: ScannerInfo
    reasons: tuple[Reason, ...] = ()
    signatures: tuple[str, ...] = ()


@dataclass(slots=True)
class _Trust:
    """What we know of one scanner. All times in monotonic seconds."""

    info: ScannerInfo | None = None
    until: float = 0.0
    version_until: float = 0.0
    refused_until: float = 0.0  # it has just been looked at in vain: nobody else need wait for that
    said: str = ""  # the last word about it in the log, which is not repeated


class Scanners:
    """All scanners of one worker process. Safe to use from several threads."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        database: Database,
        *,
        largest: Callable[[], int],
        canary_seconds: float,
        max_age: timedelta,
        development_allowed: bool,
    ) -> None:
        """`largest`: upload that the policy takes at the moment, in bytes. `max_age`: of the signatures.
        `development_allowed`: may they be the development set?"""
        self._endpoints, self._database = list(endpoints), database
        self._largest = largest
        self._canary_seconds, self._max_age = canary_seconds, max_age
        self._development_allowed = development_allowed
        self._trust = {endpoint.address: _Trust() for endpoint in endpoints}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def examine(self, descriptor: int, size: int) -> Examination:
        """Have a file of `size` bytes examined by a trusted scanner.

        Raises `ScannerUnavailable` where none takes work, and `ScannerFailed` for one that was lost at work: the
        file may be the cause, so no other scanner is given it in this attempt.
        """
        refusals = []
        for endpoint in random.sample(self._endpoints, len(self._endpoints)):
            try:
                info = self._trusted(endpoint)
                reply = Reply(size_limit=True) if size > LARGEST else endpoint.scan(descriptor)
            except ScannerUnavailable as fault:
                self._distrust(endpoint)
                refusals.append(fault.message)
                continue
            except ScannerFailed:
                self._distrust(endpoint)
                raise
            return _meaning(reply, info)
        raise ScannerUnavailable("no scanner takes work: " + "; ".join(refusals))

    def check(self) -> None:
        """Return if at least one scanner takes work. Raises `ScannerUnavailable`."""
        refusals = []
        for endpoint in self._endpoints:
            try:
                self._trusted(endpoint)
            except ScannerUnavailable as fault:
                refusals.append(fault.message)
            else:
                return
        raise ScannerUnavailable("no scanner takes work: " + "; ".join(refusals))

    def interrupt(self) -> None:
        """Hang up on every scanner that is at work for us; whoever waits for it gets `ScannerFailed`."""
        for endpoint in self._endpoints:
            endpoint.interrupt()

    def watch(self) -> None:
        """Look at every scanner now and regularly, and soon at one that is not trusted, whoever found out, until
        `close`; what is found goes on record. For a thread."""
        pause = 0.0
        while not self._stop.wait(pause):
            pause = min(_RETRY_SECONDS, self._canary_seconds / 2)
            for endpoint in filter(self._is_due, self._endpoints):
                try:
                    self._inspect(endpoint)
                except ScannerUnavailable:
                    pass  # which is on record
                except Exception as fault:  # noqa: BLE001 - the watch must go on, whatever it sees
                    telemetry.alarm(Log.SCANNER_UNREPORTED, scanner=endpoint.address, exc_info=fault)

    def close(self) -> None:
        self._stop.set()

    def _trusted(self, endpoint: Endpoint) -> ScannerInfo:
        trust = self._trust[endpoint.address]
        with self._lock:
            if time.monotonic() < trust.refused_until:
                raise ScannerUnavailable(trust.said)
            if time.monotonic() >= trust.until or trust.info is None:
                return self._inspect(endpoint)
            if time.monotonic() >= trust.version_until:
                trust.info = self._present(endpoint)
                trust.version_until = time.monotonic() + _VERSION_SECONDS
            return trust.info

    def _is_due(self, endpoint: Endpoint) -> bool:
        """Not trusted, or last looked at so long ago that it should be looked at before anybody waits for that."""
        return time.monotonic() >= self._trust[endpoint.address].until - self._canary_seconds / 2

    def _present(self, endpoint: Endpoint) -> ScannerInfo:
        """Its version now. Raises `ScannerUnavailable`: no file was given to it yet, so none is to blame."""
        try:
            return self._described(endpoint.version())
        except Transient as fault:
            raise self._refused(endpoint, fault) from fault

    def _distrust(self, endpoint: Endpoint) -> None:
        self._trust[endpoint.address].until = 0.0

    def _inspect(self, endpoint: Endpoint) -> ScannerInfo:
        """Canaries and signatures, on record either way. Raises `ScannerUnavailable`, also for a blind scanner."""
        try:
            info = self._described(endpoint.version())
            fly_canaries(endpoint)
            check_reach(endpoint, min(self._largest(), LARGEST))
        except Transient as fault:
            raise self._refused(endpoint, fault) from fault
        now, trust = time.monotonic(), self._trust[endpoint.address]
        trust.info, trust.until, trust.version_until = info, now + self._canary_seconds, now + _VERSION_SECONDS
        trust.refused_until = 0.0
        self._report(endpoint, info, "development signatures" if info.development else f"signatures {info.database}")
        return info

    def _refused(self, endpoint: Endpoint, fault: Transient) -> ScannerUnavailable:
        """On record at once: operators must not read `trusted` while scans wait for it."""
        self._distrust(endpoint)
        self._report(endpoint, None, fault.message)
        self._trust[endpoint.address].refused_until = time.monotonic() + _RETRY_SECONDS
        return ScannerUnavailable(fault.message)

    def _described(self, version: Version) -> ScannerInfo:
        if version.database is None and not self._development_allowed:
            raise ScannerUnavailable("only development signatures are loaded, expected ClamAV's official database")
        if version.database_time and clock.now() - version.database_time > self._max_age:
            raise ScannerUnavailable(
                f"signatures {version.database} are of {version.database_time:%Y-%m-%d %H:%M}, "
                f"expected none older than {self._max_age.total_seconds() / 3600:g} h: see to freshclam"
            )
        development = version.database is None
        return ScannerInfo(version.engine, version.database, version.database_time, development)

    def _report(self, endpoint: Endpoint, info: ScannerInfo | None, detail: str) -> None:
        """A database that is away keeps nobody from scanning; the scan itself will notice."""
        self._log(endpoint, info, detail)
        try:
            with self._database.write() as connection:
                stored.report(
                    connection,
                    f"{socket.gethostname()} {endpoint.address}",
                    engine=info.engine if info else None,
                    database=info.database if info else None,
                    database_time=info.database_time if info else None,
                    trusted=info is not None,
                    detail=detail,
                    checked_at=clock.now(),
                )
        except DatabaseUnavailable as fault:
            telemetry.warn(Log.SCANNER_UNREPORTED, scanner=endpoint.address, error=fault.message)

    def _log(self, endpoint: Endpoint, info: ScannerInfo | None, detail: str) -> None:
        trust = self._trust[endpoint.address]
        if trust.said == detail:
            return
        trust.said = detail
        if info:
            telemetry.say(Log.SCANNER_TRUSTED, scanner=endpoint.address, engine=info.engine, detail=detail)
        else:
            telemetry.alarm(Log.SCANNER_REFUSED, scanner=endpoint.address, error=detail)


def _meaning(reply: Reply, info: ScannerInfo) -> Examination:
    """Heuristic names are ClamAV's (libclamav/others.c): they tell what it could not look into."""
    if reply.size_limit:
        message = "The file is larger than the scanner can look into."
        return Examination(info, (Reason(ReasonCode.SCAN_LIMITS_EXCEEDED, message),))
    name = reply.found
    if name is None:
        return Examination(info)
    if name.startswith("Heuristics.Encrypted"):
        return Examination(info, (Reason(ReasonCode.ENCRYPTED, f"The content is encrypted ({name})."),))
    if name.startswith("Heuristics.Limits.Exceeded.MaxScanTime"):
        return Examination(info, (Reason(ReasonCode.SCAN_TIMED_OUT, "The scan took longer than allowed."),))
    if name.startswith(_BEYOND_LIMITS):
        message = f"The file goes beyond a limit of the scanner ({name})."
        return Examination(info, (Reason(ReasonCode.SCAN_LIMITS_EXCEEDED, message),))
    return Examination(info, (Reason(ReasonCode.SIGNATURE_FOUND, f"The scanner found {name}."),), (name,))
