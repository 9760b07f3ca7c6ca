"""OpenPGP messages, in binary and in ASCII armour. RFC 9580, 4.2, 5.1, 5.3 and 6.2."""

from __future__ import annotations

import re
from typing import BinaryIO

from worker.sandbox.containers.window import at

_ARMOUR = re.compile(rb"\s*-----BEGIN PGP MESSAGE")
_SESSION_KEY, _PASSWORD = 1, 3  # packets that say how to get at the key
_BEHIND = frozenset({1, 3, 9, 18, 20, 10})  # more of them, a marker, or what they encrypt
_VERSIONS = {_SESSION_KEY: (2, 3, 6), _PASSWORD: (4, 5, 6)}


def is_encrypted(file: BinaryIO) -> bool:
    """Is this a message that somebody must decrypt? A signature or a public key is none."""
    head = at(file, 0, 1024)
    if _ARMOUR.match(head):
        return True
    following = _packet(head[:16])[2]
    return begins_like_one(head) and _packet(at(file, following, 16))[0] in _BEHIND


def begins_like_one(head: bytes) -> bool:
    """Does it begin with the packet that an encrypted message begins with, or with its armour?"""
    tag, body, _ = _packet(head[:16])
    return _ARMOUR.match(head) is not None or (tag in _VERSIONS and body != b"" and body[0] in _VERSIONS[tag])


def _packet(head: bytes) -> tuple[int, bytes, int]:
    """Tag, beginning of the body, and where the next packet begins; tag 0 for none."""
    if len(head) < 6 or not head[0] & 0x80:
        return 0, b"", 0
    if head[0] & 0x40:
        sizes = {True: (2, head[1]), False: (3, (head[1] - 192 << 8) + head[2] + 192)}
        start, length = sizes[head[1] < 192]
        return (head[0] & 0x3F, head[start:], start + length) if head[1] < 224 else (head[0] & 0x3F, head[2:], 0)
    kind = head[0] & 3
    width = (1, 2, 4, 0)[kind]
    return head[0] >> 2 & 15, head[1 + width :], 1 + width + int.from_bytes(head[1 : 1 + width])
