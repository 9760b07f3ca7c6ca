"""A webhook reaches public addresses, and what the operator has allowed; nothing that leads elsewhere."""

from __future__ import annotations

import pytest

from worker.adapters.addresses import networks, permitted

FORBIDDEN = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "0.1.2.3", "10.1.1.1", "172.16.0.1", "192.168.0.1"),
    *("100.64.0.1", "100.100.100.200", "169.254.169.254", "168.63.129.16"),
    *("192.0.0.8", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("2001:db8::1", "3fff::1", "100::1", "5f00::1", "2001:20::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1"),  # mapped, translated
    *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"),  # NAT64
    *("2002:7f00:1::", "2002:a9fe:a9fe::1"),  # 6to4
    "2001:0:7f00:1::",  # Teredo
]
PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_what_is_not_public_is_out_of_reach(address: str) -> None:
    assert not permitted(address, ())


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_within_reach(address: str) -> None:
    assert permitted(address, ())


def test_an_allowed_network_is_within_reach_and_its_neighbours_are_not() -> None:
    allowed = networks(("10.1.0.0/16", "fd00::/8", "127.0.0.1"))
    for address in ("10.1.255.255", "fd00::1", "127.0.0.1", "::ffff:10.1.0.1", "64:ff9b::a01:1"):
        assert permitted(address, allowed), address
    for address in ("10.2.0.1", "127.0.0.2", "fc00::1", "::1", "192.168.0.1"):
        assert not permitted(address, allowed), address


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "0x7f.1", "::g"])
def test_what_is_no_address_is_never_permitted(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        permitted(text, networks(("0.0.0.0/0", "::/0")))
