"""A decoder that a file has taken over, on the whole path: what it hands on is believed no more than the file was."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest

from tests import images
from tests.system import System
from worker.assembly import make_sandbox
from worker.canaries import eicar, encrypted_zip
from worker.sandbox import launcher
from worker.scan import Status
from worker.tasks import Parts

HIJACKED = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
from worker.sandbox import Reencoded, child, server
from worker.sandbox.wire import Call

honest = child._answer

def hijacked(request, database, files):
    if request.call is Call.SNIFF:
        return honest(request, database, files)
    os.write(files[1], {payload!r})
    return Reencoded("image/jpeg", 320, 240, 1, 320, 240)

child._answer = hijacked
server.serve(socket.socket(fileno=int(sys.argv[2])))
"""
JPEG = images.encode(images.photo(), "JPEG")


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"<html><script>alert(1)</script></html>", "text/html"),
        (eicar(), "text/plain"),
        (b"", "application/x-empty"),
        (JPEG + encrypted_zip(), "image/jpeg and application/zip"),
    ],
    ids=["page", "malware", "nothing", "picture and more"],
)
def test_what_is_no_image_is_not_promoted(
    system: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], payload: bytes, named: str
) -> None:
    """It is held for another attempt: what the sandbox did says nothing about the file."""
    boot = HIJACKED.format(payload=payload)
    monkeypatch.setattr(launcher, "start", functools.partial(launcher.start, boot=boot))
    parts = Parts(system.settings, system.objects, make_sandbox(system.settings))
    scan = replace(system, parts=parts).outcome(JPEG, "photo.jpg", "image/jpeg")
    parts.close()
    assert (scan.status, scan.verdict) == (Status.QUEUED, None)
    assert scan.error is not None
    assert (scan.error["code"], system.promoted()) == ("sandbox_failed", [])
    said = capsys.readouterr()
    assert f"the re-encoded image is {named}, expected image/jpeg" in said.out + said.err
