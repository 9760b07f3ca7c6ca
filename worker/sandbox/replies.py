"""What a child answers. It has decoded hostile bytes and may be theirs by now: every field is checked."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

from worker.errors import SandboxFailed
from worker.sandbox.answers import Reencoded, Refused, Sniffed
from worker.sandbox.wire import Call, Request
from worker.scan import ReasonCode

Answer = Sniffed | Reencoded | Refused

_NUMBERS = ("width", "height", "frames", "original_width", "original_height")
_SHAPES: dict[str, tuple[Call, dict[str, type]]] = {  # the answer, to which call, and its fields
    "Sniffed": (Call.SNIFF, {"type": str, "also": list, "closed": dict, "exhausting": bool}),
    "Reencoded": (Call.REENCODE, {"type": str} | dict.fromkeys(_NUMBERS, int)),
    "Refused": (Call.REENCODE, {"code": str, "message": str}),
}
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_CODES = (
    ReasonCode.IMAGE_UNDECODABLE,
    ReasonCode.IMAGE_TOO_LARGE,
    ReasonCode.IMAGE_TOO_MANY_FRAMES,
    ReasonCode.TYPE_MISMATCH,
)
_MOST_TYPES = 16  # that one file may be at once
_CLOSED_CODES = (ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED, ReasonCode.SCAN_TIMED_OUT)
_LONGEST_MESSAGE = 1000  # characters


def pack(answer: Answer) -> bytes:
    """In the child."""
    fields = asdict(answer)
    if isinstance(answer, Sniffed):
        fields["closed"] = fields["closed"] or {}
    return json.dumps([type(answer).__name__, fields]).encode()


def unpack(request: Request, untrusted: bytes) -> Answer:
    """In the worker. Raises `SandboxFailed` unless an honest child could have given this answer."""
    try:
        untrusted_kind, untrusted_fields = json.loads(untrusted)
        call, shape = _SHAPES[untrusted_kind]
        believable = call is request.call and {key: type(value) for key, value in untrusted_fields.items()} == shape
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _unbelievable() from error
    answer = _checked(request, untrusted_kind, untrusted_fields) if believable else None
    if answer is None:
        raise _unbelievable()
    return answer


def _checked(request: Request, kind: str, untrusted: dict[str, Any]) -> Answer | None:
    """The values, once their types are right; None where one is out of range."""
    if kind == "Sniffed":
        return _sniffed(untrusted)
    if kind == "Refused":
        return _refused(untrusted, _CODES)
    image = Reencoded(**untrusted)
    return image if _is_expected(request, image) else None


def _is_expected(request: Request, image: Reencoded) -> bool:
    limits, treatment = request.limits, request.treatment
    sizes = ((image.width, image.height), (image.original_width, image.original_height))
    pixels_fit = all(width > 0 < height and width * height <= limits.max_pixels for width, height in sizes)
    return image.type in treatment.types_of(request.media_type) and pixels_fit and 0 < image.frames <= limits.max_frames


def _sniffed(untrusted: dict[str, Any]) -> Sniffed | None:
    names = [untrusted["type"], *untrusted["also"]]
    if len(names) > _MOST_TYPES or not all(isinstance(each, str) and _MEDIA_TYPE.fullmatch(each) for each in names):
        return None
    exhausting: bool = untrusted["exhausting"]
    if not untrusted["closed"]:
        return None if exhausting else Sniffed(names[0], tuple(names[1:]))
    closed = _refused(untrusted["closed"], _CLOSED_CODES)
    return Sniffed(names[0], tuple(names[1:]), closed, exhausting) if closed else None


def _refused(untrusted: dict[str, Any], codes: tuple[ReasonCode, ...]) -> Refused | None:
    if {key: type(value) for key, value in untrusted.items()} != {"code": str, "message": str}:
        return None
    code, message = untrusted["code"], untrusted["message"]
    fit = code in codes and len(message) <= _LONGEST_MESSAGE and message.isprintable()
    return Refused(ReasonCode(code), message) if fit else None


def _unbelievable() -> SandboxFailed:
    return SandboxFailed("the sandbox gave an answer that no decoder gives; trying again can help")
