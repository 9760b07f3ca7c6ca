"""What a hijacked child may say, and how it may end: nothing but an honest answer is believed."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import Any

import pytest

from worker.errors import SandboxFailed
from worker.sandbox import ImageLimits, Reencoded, Refused, Sniffed, Treatment, endings, replies
from worker.sandbox.replies import Answer
from worker.sandbox.wire import Call, Ending, Fate, Request
from worker.scan import ReasonCode

SNIFF = Request(Call.SNIFF, memory=1, seconds=2, output=0)
REENCODE = Request(Call.REENCODE, 1, 2, 3, media_type="image/heic", limits=ImageLimits(100, 5))
KEEP = replace(REENCODE, treatment=Treatment(keep=True))
TO_WEBP = replace(REENCODE, media_type="image/gif", treatment=Treatment(output="image/webp"))
IMAGE = {"type": "image/jpeg", "width": 10, "height": 10, "frames": 1, "original_width": 10, "original_height": 10}
REFUSED = {"code": "image_undecodable", "message": "it is cut"}


def _unpack(request: Request, *untrusted: Any) -> Answer:
    return replies.unpack(request, json.dumps(untrusted).encode())


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (SNIFF, Sniffed("application/vnd.ms-excel.sheet.macroenabled.12")),
        (SNIFF, Sniffed("application/pdf", ("application/zip", "text/html"), Refused(ReasonCode.ENCRYPTED, "x"))),
        (SNIFF, Sniffed("application/zip", (), Refused(ReasonCode.SCAN_LIMITS_EXCEEDED, "x"), exhausting=True)),
        (SNIFF, Sniffed("application/zip", (), Refused(ReasonCode.SCAN_TIMED_OUT, "x"))),
        (REENCODE, Reencoded("image/jpeg", 10, 10, 5, 20, 5)),
        (REENCODE, Refused(ReasonCode.IMAGE_TOO_LARGE, "it is large")),
        (KEEP, Reencoded("image/heic", 10, 10, 1, 20, 5)),
        (KEEP, Refused(ReasonCode.TYPE_MISMATCH, "it is more than an image")),
        (TO_WEBP, Reencoded("image/webp", 10, 10, 1, 20, 5)),
        (TO_WEBP, Reencoded("image/gif", 10, 10, 5, 20, 5)),
    ],
)
def test_honest_answers_arrive(request_: Request, answer: Answer) -> None:
    assert replies.unpack(request_, replies.pack(answer)) == answer


def _sniffed(**changed: Any) -> bytes:
    """An honest answer to a sniff, but for what is changed."""
    honest = {"type": "text/plain", "also": [], "closed": {}, "exhausting": False}
    return json.dumps(["Sniffed", honest | changed]).encode()


@pytest.mark.parametrize(
    "untrusted",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 60_000,
        b'["Sniffed"]',
        b'["Sniffed", null]',
        b'["Sniffed", {}]',
        b'[["Sniffed"], {"type": "text/plain"}]',
        b'["Sniffed", {"type": "text/plain"}]',
        _sniffed(type=1),
        _sniffed(more=1),
        _sniffed(type="text/plain\n"),
        _sniffed(type="Text/Plain"),
        _sniffed(type="nonsense"),
        _sniffed() + b" trailing",
        _sniffed(also="text/html"),
        _sniffed(also=[1]),
        _sniffed(also=["nonsense"]),
        _sniffed(also=["text/html"] * 100),
        _sniffed(exhausting=True),
        _sniffed(exhausting=1),
        _sniffed(closed=None),
        _sniffed(closed={"code": "encrypted"}),
        _sniffed(closed={"code": "image_too_large", "message": ""}),
        _sniffed(closed={"code": "encrypted", "message": "\n"}),
        _sniffed(closed={"code": [], "message": ""}),
        b'["Refused", {"code": "image_undecodable", "message": "x"}]',
        b'["SystemExit", {}]',
    ],
)
def test_nonsense_is_no_type(untrusted: bytes) -> None:
    with pytest.raises(SandboxFailed):
        replies.unpack(SNIFF, untrusted)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("Reencoded", IMAGE | {"type": "image/heic"}),
        ("Reencoded", IMAGE | {"width": 0}),
        ("Reencoded", IMAGE | {"width": -10, "height": -10}),
        ("Reencoded", IMAGE | {"width": 11}),
        ("Reencoded", IMAGE | {"original_width": 0}),
        ("Reencoded", IMAGE | {"original_height": 1 << 40}),
        ("Reencoded", IMAGE | {"width": 1.5}),
        ("Reencoded", IMAGE | {"frames": 0}),
        ("Reencoded", IMAGE | {"frames": 6}),
        ("Reencoded", IMAGE | {"frames": True}),
        ("Reencoded", {"type": "image/jpeg"}),
        ("Refused", REFUSED | {"code": "signature_found"}),
        ("Refused", REFUSED | {"code": "scan_timed_out"}),
        ("Refused", REFUSED | {"message": "two\nlines"}),
        ("Refused", REFUSED | {"message": "\x1b[2J"}),
        ("Refused", REFUSED | {"message": "x" * 2000}),
        ("Refused", REFUSED | {"message": None}),
        ("Sniffed", {"type": "image/jpeg", "also": [], "closed": {}, "exhausting": False}),
    ],
)
def test_nonsense_is_no_image(kind: str, fields: dict[str, object]) -> None:
    with pytest.raises(SandboxFailed):
        _unpack(REENCODE, kind, fields)


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        (Ending(Fate.TIMED_OUT, 0, b""), ReasonCode.SCAN_TIMED_OUT, "2 seconds"),
        (Ending(Fate.SIGNALLED, signal.SIGXCPU, b""), ReasonCode.IMAGE_UNDECODABLE, "processor time"),
        (Ending(Fate.SIGNALLED, signal.SIGXFSZ, b""), ReasonCode.IMAGE_UNDECODABLE, "larger than"),
        (Ending(Fate.SIGNALLED, signal.SIGSEGV, b""), ReasonCode.IMAGE_UNDECODABLE, "crashed"),
        (Ending(Fate.SIGNALLED, signal.SIGABRT, b""), ReasonCode.IMAGE_UNDECODABLE, "crashed"),
    ],
)
def test_an_end_by_its_own_doing_is_a_finding(ending: Ending, code: ReasonCode, words: str) -> None:
    answer = endings.answer(REENCODE, Ending.unpack(ending.pack()))
    assert isinstance(answer, Refused)
    assert answer.code is code
    assert words in answer.message


@pytest.mark.parametrize(
    "ending",
    [
        Ending(Fate.SIGNALLED, signal.SIGKILL, b""),
        Ending(Fate.SIGNALLED, signal.SIGTERM, b""),
        Ending(Fate.SIGNALLED, signal.SIGSYS, b""),
        Ending(Fate.EXITED, 70, b"ImportError()"),
        Ending(Fate.EXITED, 1, b"\xff\x1b[2J"),
        Ending(Fate.EXITED, 0, b""),
    ],
)
def test_any_other_end_is_an_outage(ending: Ending) -> None:
    with pytest.raises(SandboxFailed) as failure:
        endings.answer(REENCODE, ending)
    assert failure.value.message.isprintable()


def test_a_reply_does_not_count_once_the_child_has_crashed() -> None:
    reply = replies.pack(Reencoded("image/jpeg", 10, 10, 1, 20, 5))
    assert isinstance(endings.answer(REENCODE, Ending(Fate.SIGNALLED, signal.SIGSEGV, reply)), Refused)


def test_another_type_than_asked_for_is_not_believed() -> None:
    for request, media_type in ((KEEP, "image/jpeg"), (TO_WEBP, "image/jpeg"), (REENCODE, "image/webp")):
        with pytest.raises(SandboxFailed):
            replies.unpack(request, replies.pack(Reencoded(media_type, 10, 10, 1, 20, 5)))


def test_a_request_arrives_as_it_was_sent() -> None:
    for request in (SNIFF, REENCODE, KEEP, TO_WEBP):
        assert Request.unpack(request.pack()) == request
