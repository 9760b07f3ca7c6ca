"""decide(): findings + policy → verdict; and the policy file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from worker.decide import Findings, decide
from worker.errors import Permanent
from worker.policy import ImagePolicy, Policy
from worker.policy_file import PolicyFile
from worker.scan import Reason, ReasonCode, Status
from worker.settings import REPOSITORY

POLICY = PolicyFile.load(REPOSITORY / "ops" / "policy.toml").default
FOUND = Reason(ReasonCode.SIGNATURE_FOUND, "…")
BROKEN = Reason(ReasonCode.IMAGE_UNDECODABLE, "…")
ENCRYPTED = Reason(ReasonCode.ENCRYPTED, "…")
UNSEEN = Reason(ReasonCode.SCAN_LIMITS_EXCEEDED, "…")

IMAGE_POLICIES: list[dict[str, object]] = [
    {"treatment": "keep"},
    {"format": "webp"},
    {"quality": 80},
    {"max_width": 100},
    {"max_height": 100},
]


def _findings(
    detected: str,
    filename: str = "file",
    declared: str | None = None,
    reasons: tuple[Reason, ...] = (),
    also: tuple[str, ...] = (),
) -> Findings:
    return Findings(filename, declared, detected, reasons, also=also)


@pytest.mark.parametrize(
    ("findings", "status", "codes"),
    [
        (_findings("image/jpeg", "photo.JPG", "image/jpeg"), Status.CLEAN, []),
        (_findings("image/jpeg", "photo", None), Status.CLEAN, []),
        (_findings("image/jpeg", ".jpg", "image/pjpeg"), Status.CLEAN, []),
        (_findings("audio/mpeg", "a.mp3", "audio/mp3"), Status.CLEAN, []),
        (_findings("text/plain", "a.txt", "text/plain; charset=utf-8"), Status.CLEAN, []),
        (_findings("image/png", "photo.jpg"), Status.REJECTED, ["type_mismatch"]),
        (_findings("image/png", "photo.png", "image/jpeg"), Status.REJECTED, ["type_mismatch"]),
        (_findings("text/plain", "run.ps1"), Status.REJECTED, ["type_mismatch"]),
        (_findings("application/x-dosexec", "a.jpg"), Status.REJECTED, ["type_not_allowed", "type_mismatch"]),
        (_findings("text/html", "page"), Status.REJECTED, ["type_not_allowed"]),
        (_findings("application/x-never-heard-of", "x"), Status.REJECTED, ["type_not_allowed"]),
        (_findings("application/x-empty", "a.jpg", "image/png"), Status.REJECTED, ["empty_file"]),
        (_findings("application/zip", "a.zip", reasons=(UNSEEN,)), Status.UNSCANNABLE, ["scan_limits_exceeded"]),
        (_findings("application/encrypted", "a", reasons=(ENCRYPTED,)), Status.UNSCANNABLE, ["encrypted"]),
        (
            _findings("application/encrypted", "a.png", reasons=(ENCRYPTED,)),
            Status.REJECTED,
            ["encrypted", "type_mismatch"],
        ),
        (
            _findings("application/x-7z-compressed", "a.7z", reasons=(ENCRYPTED,)),
            Status.REJECTED,
            ["encrypted", "type_not_allowed"],
        ),
        (_findings("application/pdf", "a.pdf", also=("application/zip",)), Status.REJECTED, ["type_mismatch"]),
        (_findings("image/gif", "a.gif", also=("application/zip",)), Status.CLEAN, []),
        (_findings("image/jpeg", "a.jpg", reasons=(BROKEN,)), Status.REJECTED, ["image_undecodable"]),
        (_findings("application/zip", "a.zip", reasons=(ENCRYPTED,)), Status.UNSCANNABLE, ["encrypted"]),
        (
            _findings("application/zip", "a.zip", reasons=(ENCRYPTED, FOUND)),
            Status.INFECTED,
            ["encrypted", "signature_found"],
        ),
        (_findings("application/zip", "a.pdf", reasons=(ENCRYPTED,)), Status.REJECTED, ["encrypted", "type_mismatch"]),
    ],
)
def test_the_most_severe_reason_decides_and_every_reason_is_listed(
    findings: Findings, status: Status, codes: list[str]
) -> None:
    verdict, reasons = decide(POLICY, findings)
    assert (verdict, [reason.code for reason in reasons]) == (status, codes)


def test_what_is_not_expected_is_said() -> None:
    _, reasons = decide(POLICY, _findings("text/html", "page.html"))
    assert "text/html" in reasons[0].message
    assert "application/pdf" in reasons[0].message


def test_a_policy_file_with_faults_names_all_of_them(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text('[default]\ntypes = ["image/nonsense"]\nmax_size = "2 GiB"\nmax_pixels = 0\ncolour = "red"\n')
    with pytest.raises(Permanent) as caught:
        PolicyFile.load(path)
    for fault in ("default.types", "default.max_pixels", "default.max_frames", "default.colour"):
        assert fault in caught.value.message


def test_a_policy_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"nowhere\.toml"):
        PolicyFile.load(tmp_path / "nowhere.toml")


def test_the_fingerprint_follows_the_content() -> None:
    same = Policy.model_validate(POLICY.model_dump())
    assert same.fingerprint == POLICY.fingerprint
    changes: list[dict[str, Any]] = [{"images": ImagePolicy.model_validate(each)} for each in IMAGE_POLICIES]
    changes += [{name: getattr(POLICY, name) + 1} for name in ("max_frames", "max_total_pixels", "max_side")]
    changes += [{name: ByteSize(1)} for name in ("max_profile_size", "max_metadata_size")]
    fingerprints = {POLICY.model_copy(update=change).fingerprint for change in changes}
    assert len(fingerprints - {POLICY.fingerprint}) == len(changes)


def test_an_image_that_is_also_something_else_may_not_be_kept() -> None:
    polyglot = Findings("photo.gif", "image/gif", "image/gif", also=("application/zip",))
    keeping = POLICY.model_copy(update={"images": ImagePolicy(treatment="keep")})
    assert decide(POLICY, polyglot) == (Status.CLEAN, ())
    status, reasons = decide(keeping, polyglot)
    assert (status, [reason.code for reason in reasons]) == (Status.REJECTED, [ReasonCode.TYPE_MISMATCH])
    assert "also application/zip" in reasons[0].message
    assert decide(keeping, replace(polyglot, also=())) == (Status.CLEAN, ())


def test_images_are_reencoded_as_they_are_unless_the_policy_says_otherwise() -> None:
    assert POLICY.images == ImagePolicy()
    assert not POLICY.images.keep


@pytest.mark.parametrize(
    ("images", "fault"),
    [
        ({"treatment": "strip"}, "default.images.treatment: got 'strip'; input should be 'reencode' or 'keep'"),
        ({"format": "gif"}, "default.images.format"),
        ({"quality": 0}, "default.images.quality: got 0; input should be greater than or equal to 1"),
        ({"quality": 101}, "default.images.quality: got 101; input should be less than or equal to 100"),
        ({"max_width": 0}, "default.images.max_width"),
        ({"max_height": -1}, "default.images.max_height"),
        ({"crop": True}, "default.images.crop: there is no such key"),
        ({"treatment": "keep", "quality": 80, "format": "webp"}, "kept as they are have no format, quality"),
    ],
)
def test_faults_in_what_becomes_of_images_are_named(tmp_path: Path, images: dict[str, object], fault: str) -> None:
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in images.items())
    path = tmp_path / "policy.toml"
    path.write_text((REPOSITORY / "ops" / "policy.toml").read_text().split("[default.images]")[0])
    path.write_text(path.read_text() + f"[default.images]\n{lines}")
    with pytest.raises(Permanent) as caught:
        PolicyFile.load(path)
    assert fault in caught.value.message


def test_an_image_that_is_kept_as_it_is_may_be_nothing_else() -> None:
    keeping = POLICY.model_copy(update={"images": POLICY.images.model_copy(update={"treatment": "keep"})})
    verdict, reasons = decide(keeping, _findings("image/gif", "a.gif", also=("text/javascript",)))
    assert (verdict, [reason.code for reason in reasons]) == (Status.REJECTED, [ReasonCode.TYPE_MISMATCH])
    assert "text/javascript" in reasons[0].message
