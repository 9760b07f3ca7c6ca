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

_SHAPES: dict[str, tuple[Call, dict[str, type]]] = {  # the answer, to which call, and its fields
    "Sniffed": (Call.SNIFF, {"type": str}),
    "Reencoded": (Call.REENCODE, {"type": str, "width": int, "height": int, "frames": int}),
    "Refused": (Call.REENCODE, {"code": str, "message": str}),
}
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_CODES = (
    ReasonCode.IMAGE_UNDECODABLE,
    ReasonCode.IMAGE_TOO_LARGE,
    ReasonCode.IMAGE_TOO_MANY_FRAMES,
    ReasonCode.TYPE_MISMATCH,
)
_LONGEST_MESSAGE = 1000  # characters


def pack(answer: Answer) -> bytes:
    """In the child."""
    return json.dumps([type(answer).__name__, asdict(answer)]).encode()


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
        return Sniffed(**untrusted) if _MEDIA_TYPE.fullmatch(untrusted["type"]) else None
    if kind == "Refused":
        message = untrusted["message"]
        fit = untrusted["code"] in _CODES and len(message) <= _LONGEST_MESSAGE and message.isprintable()
        return Refused(ReasonCode(untrusted["code"]), message) if fit else None
    image = Reencoded(**untrusted)
    return image if _is_expected(request, image) else None


def _is_expected(request: Request, image: Reencoded) -> bool:
    limits, treatment = request.limits, request.treatment
    pixels_fit = image.width > 0 < image.height and image.width * image.height <= limits.max_pixels
    return image.type in treatment.types_of(request.media_type) and pixels_fit and 0 < image.frames <= limits.max_frames


def _unbelievable() -> SandboxFailed:
    return SandboxFailed("the sandbox gave an answer that no decoder gives; trying again can help")
