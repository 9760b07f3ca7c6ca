"""decide(): findings + policy → verdict; and the policy file."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import Permanent
from worker.policy import Findings, Policy, PolicyFile, decide
from worker.scan import Reason, ReasonCode, Status
from worker.settings import REPOSITORY

POLICY = PolicyFile.load(REPOSITORY / "ops" / "policy.toml").default
FOUND = Reason(ReasonCode.SIGNATURE_FOUND, "…")
BROKEN = Reason(ReasonCode.IMAGE_UNDECODABLE, "…")
ENCRYPTED = Reason(ReasonCode.ENCRYPTED, "…")
UNSEEN = Reason(ReasonCode.SCAN_LIMITS_EXCEEDED, "…")


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
    assert (verdict, [reason.code.value for reason in reasons]) == (status, codes)


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
    other = POLICY.model_copy(update={"max_frames": POLICY.max_frames + 1})
    assert same.fingerprint == POLICY.fingerprint != other.fingerprint


def test_an_image_that_is_kept_as_it_is_may_be_nothing_else() -> None:
    keeping = POLICY.model_copy(update={"images": POLICY.images.model_copy(update={"treatment": "keep"})})
    verdict, reasons = decide(keeping, _findings("image/gif", "a.gif", also=("text/javascript",)))
    assert (verdict, [reason.code for reason in reasons]) == (Status.REJECTED, [ReasonCode.TYPE_MISMATCH])
    assert "text/javascript" in reasons[0].message
