"""Operators look for scans, read why one failed, and mend it; on a stack whose scanner can be taken away."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.browser.conftest import picture
from tests.stack import Stack


def test_first(operator: Page, stack: Stack) -> None:

    from tests import images

    with stack.client() as client:
        ids = {}
        for name, data in {
            "a.txt": b"hello",
            "photo.jpg": images.encode(images.photo(), "JPEG"),
            "<img src=x onerror=alert(1)>.txt": b"hi",
        }.items():
            r = client.post("/v1/uploads", files={"file": (name, data)}, data={"metadata": '{"a": "\\u202eabc<b>"}'})
            print(r.status_code, r.text)
            ids[name] = r.json()["id"]
        for each in ids.values():
            print(client.get(f"/v1/scans/{each}?wait=30").json()["status"])
    operator.goto("/scans")
    picture(operator, "scans")
    for n, each in enumerate(ids.values()):
        operator.goto(f"/scans/{each}")
        operator.wait_for_timeout(500)
        picture(operator, f"scan-{n}")
