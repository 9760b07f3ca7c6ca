"""Which addresses a webhook may reach: public ones, and what the operator has allowed. Pure functions.

Not `is_global` alone: as Python 3.11 has it, it is true of multicast, of 3fff::/20 and of most that is merely reserved,
and it does not look into addresses that lead to an IPv4 one (https://docs.python.org/3/library/ipaddress.html).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all of IPv6 that IANA has given out for it
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_SPECIAL: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890, protocol assignments
    IPv4Network("192.88.99.0/24"),  # RFC 7526, relays of 6to4
    IPv4Network("168.63.129.16/32"),  # the host of a virtual machine on Azure, under a public address
    IPv6Network("2001::/23"),  # RFC 2928, protocol assignments
    IPv6Network("3fff::/20"),  # RFC 9637, documentation
)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """What the setting says. Raises `ValueError`, which the settings have ruled out."""
    return tuple(ip_network(text) for text in texts)


def permitted(text: str, allowed: Iterable[Network]) -> bool:
    """May a webhook reach this address, as the resolver wrote it? Where an address leads to others, those count."""
    address = ip_address(text.partition("%")[0])  # the zone of a link-local one says nothing about it
    allowed = tuple(allowed)
    return all(_is_in(each, allowed) or _is_public(each) for each in _led_to(address))


def _led_to(address: Address) -> tuple[Address, ...]:
    """Where packets to this address end: the IPv4 addresses that an IPv6 one wraps, or itself."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return (IPv4Address(address.packed[-4:]),)
    if address.sixtofour:
        return (address.sixtofour,)
    if address.teredo:
        return (address, *address.teredo)  # also server and client, and never public itself
    return (address,)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    odd = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not odd and not _is_in(address, _SPECIAL)


def _is_in(address: Address, some: Iterable[Network]) -> bool:
    return any(address in network for network in some)
