"""Step: find out what exact bytes are. One fetch; the scanner and the image decoder work side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path

from worker import media_types, metrics
from worker.adapters.object_store import ObjectStore
from worker.adapters.objects import Place
from worker.decide import Findings
from worker.errors import ContentChanged, SandboxFailed
from worker.instruments import Step
from worker.pixels import Pixels
from worker.policy import Policy
from worker.sandbox import ImageLimits, Reencoded, Refused, Sandbox, Sniffed, Treatment
from worker.scan import Content, Reason, Scan, ScannerInfo
from worker.scanners import Examination, Scanners
from worker.scratch import Scratch


@dataclass(frozen=True, slots=True)
class Picture:
    """A re-encoded image: what will be promoted in place of the original. Whoever holds it closes its file."""

    file: Scratch
    type: str
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Inspection:
    """Everything that was found out, and the re-encoded image where there is one."""

    findings: Findings
    scanner: ScannerInfo | None  # None: it was spared a file that would have kept it busy for minutes
    picture: Picture | None = None


class Inspector:
    """The tools of one worker process."""

    def __init__(
        self,
        objects: ObjectStore,
        scanners: Scanners,
        sandbox: Sandbox,
        *,
        bucket: str,
        memory_limit: int,
        scratch_dir: Path | None,
    ) -> None:
        """`bucket`: quarantine. Files up to `memory_limit` bytes stay in memory, larger ones go to `scratch_dir`."""
        self._objects, self._scanners, self._sandbox = objects, scanners, sandbox
        self._bucket, self._memory_limit, self._scratch_dir = bucket, memory_limit, scratch_dir
        self._side_by_side = ThreadPoolExecutor(1, thread_name_prefix="scanner")

    def fetch(self, content: Content, check: Callable[[], None], bucket: str | None = None) -> Scratch:
        """The exact bytes on record, frozen. Raises `ContentChanged` for any others, and whatever `check` raises,
        which is called all along. `bucket`: if they are not in quarantine."""
        file, sha256 = self.fetch_new(content.key, content.size, content.etag, check, bucket)
        if sha256 != content.sha256:
            file.close()
            raise ContentChanged
        return file

    def fetch_new(
        self, key: str, size: int, etag: str, check: Callable[[], None], bucket: str | None = None
    ) -> tuple[Scratch, str]:
        """Bytes that nobody has looked at yet, frozen, and their SHA-256. Raises as `fetch` does."""
        file = self._scratch(size)
        try:
            with metrics.step(Step.FETCH):
                return file, self._fill(file, Place(bucket or self._bucket, key), size, etag, check)
        except BaseException:
            file.close()
            raise

    def _fill(self, file: Scratch, place: Place, size: int, etag: str, check: Callable[[], None]) -> str:
        hashed, left = hashlib.sha256(), size
        for chunk in self._objects.fetch(*place, etag):
            check()
            hashed.update(chunk)
            left -= len(chunk)
            if left < 0:
                raise ContentChanged
            file.write(chunk)
        if left:
            raise ContentChanged
        file.freeze()
        return hashed.hexdigest()

    def inspect(self, file: Scratch, scan: Scan, policy: Policy) -> Inspection:
        """Look at a fetched file from every side. Raises what the scanner and the sandbox raise."""
        sniffed = self._sniff(file)
        if sniffed.exhausting and sniffed.closed:
            closed = _findings(scan, sniffed.type, sniffed.also, [], [sniffed.closed])
            return Inspection(closed, scanner=None)
        with ExitStack() as unless_kept, self._scanning(file) as scanning:
            detected = media_types.meant(scan.declared_type, scan.filename, sniffed.type)
            remade = self.remake(file, detected, policy) if _wants_remaking(detected, policy) else None
            picture = remade if isinstance(remade, Picture) else None
            if picture is not None:
                unless_kept.callback(picture.file.close)
            examined = [scanning.result()]
            if picture is not None:
                examined.append(self._examine_again(picture))
            unless_kept.pop_all()
        refusals = [each for each in (sniffed.closed, remade) if isinstance(each, Refused)]
        return Inspection(_findings(scan, detected, sniffed.also, examined, refusals), examined[0].scanner, picture)

    def _sniff(self, file: Scratch) -> Sniffed:
        with metrics.step(Step.SNIFF):
            return self._sandbox.sniff(file.descriptor)

    @contextmanager
    def _scanning(self, file: Scratch) -> Iterator[Future[Examination]]:
        """What the scanner finds, while something else is done within; nobody reads the file any more afterwards."""
        scanning = self._side_by_side.submit(copy_context().run, self._scan, file)
        try:
            yield scanning
        finally:
            scanning.cancel() or scanning.exception()

    def _scan(self, file: Scratch) -> Examination:
        with metrics.step(Step.SCAN):
            return self._scanners.examine(file.descriptor, file.size)

    def interrupt(self) -> None:
        """End whatever `inspect` or `remake` wait for; they raise. From another thread."""
        self._scanners.interrupt()
        self._sandbox.interrupt()

    def remake(self, file: Scratch, media_type: str, policy: Policy) -> Picture | Refused | None:
        """Re-encode an image; the same image gives the same bytes. None: it has been decoded, and is kept as it is."""
        limits, treatment = _limits(policy), _treatment(policy)
        with ExitStack() as unless_kept:
            target = unless_kept.enter_context(self._scratch(file.size))
            try:
                with metrics.step(Step.IMAGE):
                    outcome = self._sandbox.reencode(file.descriptor, target.descriptor, media_type, limits, treatment)
            except SandboxFailed as fault:
                if overflow := target.overflow(beside=file.size):
                    raise overflow from fault
                raise
            if isinstance(outcome, Refused):
                return outcome
            if treatment.keep:
                return None
            target.freeze(shared=True)
            unless_kept.pop_all()
        return Picture(target, outcome.type, _pixels(outcome))

    def _examine_again(self, picture: Picture) -> Examination:
        """The decoder may have been hijacked: what it made is looked at like anything from outside."""
        with self._scanning(picture.file) as scanning:
            sniffed = self._sniff(picture.file)
            if sniffed != Sniffed(picture.type):
                found = " and ".join((sniffed.type, *sniffed.also))
                raise SandboxFailed(f"the re-encoded image is {found}, expected {picture.type}; trying again can help")
            return scanning.result()

    def _scratch(self, expected_size: int) -> Scratch:
        return Scratch(expected_size, memory_limit=self._memory_limit, directory=self._scratch_dir)


def _pixels(made: Reencoded) -> Pixels:
    return Pixels(made.width, made.height, made.frames, made.original_width, made.original_height)


def _wants_remaking(detected: str, policy: Policy) -> bool:
    return detected in policy.types and media_types.is_image(detected)


def _limits(policy: Policy) -> ImageLimits:
    return ImageLimits(
        max_pixels=policy.max_pixels,
        max_frames=policy.max_frames,
        max_total_pixels=policy.max_total_pixels,
        max_side=policy.max_side,
        max_profile=policy.max_profile_size,
        max_metadata=policy.max_metadata_size,
    )


def _treatment(policy: Policy) -> Treatment:
    images = policy.images
    output = f"image/{images.format}" if images.format else None
    return Treatment(images.keep, output, images.quality, images.max_width, images.max_height)


def _findings(
    scan: Scan, detected: str, also: tuple[str, ...], examined: list[Examination], refusals: list[Refused]
) -> Findings:
    return Findings(
        filename=scan.filename,
        declared_type=scan.declared_type,
        detected_type=detected,
        reasons=(
            *(reason for each in examined for reason in each.reasons),
            *(Reason(each.code, each.message) for each in refusals),
        ),
        also=also,
        signatures=tuple(name for each in examined for name in each.signatures),
    )
