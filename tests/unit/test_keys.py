"""Which keys are a service's own, whatever a store makes of them."""

from __future__ import annotations

import pytest

from worker.keys import is_incoming_of

SERVICE = "avatars"


@pytest.mark.parametrize(
    "key",
    [
        "incoming/other/report.pdf",
        f"incoming/{SERVICE}/../other/report.pdf",
        f"incoming/{SERVICE}/./report.pdf",
        f"incoming/{SERVICE}//report.pdf",
        f"incoming/{SERVICE}/..\\other\\report.pdf",
        f"incoming/{SERVICE}/",
        f"incoming/{SERVICE}",
        f"incoming/{SERVICE}-x/report.pdf",
        f"/incoming/{SERVICE}/report.pdf",
        f"incoming/{SERVICE}/\x00",
        f"incoming/{SERVICE}/a\nb",
        f"incoming/{SERVICE}/\ud800",
        f"incoming/{SERVICE}/" + "é" * 505,
        "sealed/report.pdf",
        "",
    ],
)
def test_a_key_that_is_not_the_services_own(key: str) -> None:
    assert not is_incoming_of(SERVICE, key)


@pytest.mark.parametrize("name", ["a", "a/b.pdf", "..a", "%2e%2e", "é漢?#&=", "a" * 1000, "...", "-", " "])
def test_a_key_that_is(name: str) -> None:
    assert is_incoming_of(SERVICE, f"incoming/{SERVICE}/{name}")
