"""What production refuses, as far as settings alone tell: each fault names the setting, what is wrong, what will do."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from urllib.parse import parse_qs, unquote, urlsplit

SHORTEST_KEY = 32  # characters of a key that has every scope
SHORTEST_PASSWORD = 16  # characters of what only machines type
_VARIETY = 8  # different characters in anything that was drawn at random
# What manuals, images and our own tests use: everybody's first guess.
_WORDS = """
    access admin changeme change-me default example foobared guest lazaretto letmein master minio minioadmin password
    postgres redis root rustfsadmin s3cr3t secret seaweedfs test test-access test-key test-password test-secret
    akiaiosfodnn7example wjalrxutnfemi/k7mdeng/bpxrficyexamplekey your-secret-key
"""
_KNOWN = frozenset(_WORDS.split())
_METADATA = "169.254.169.254"  # where clouds hand out credentials to whoever asks


def weakness(secret: str, shortest: int) -> str | None:
    """Why somebody may guess a secret; None where nothing speaks for it. `shortest`: characters."""
    if secret.lower() in _KNOWN:
        return "is one that everybody knows"
    if len(secret) < shortest:
        return f"has {len(secret)} characters, expected at least {shortest}"
    if len(set(secret)) < _VARIETY:
        return f"is made of {len(set(secret))} different characters, expected a random one"
    return None


def faults_of_redis(url: str) -> list[str]:
    """Of `LAZARETTO_REDIS_URL`."""
    secret = password(url)
    if not secret:
        return ["LAZARETTO_REDIS_URL has no password, expected redis://:password@host:port/0"]
    weak = weakness(secret, SHORTEST_PASSWORD)
    return [f"the password in LAZARETTO_REDIS_URL {weak}"] if weak else []


def faults_of_database(url: str) -> list[str]:
    """Of `LAZARETTO_DATABASE_URL`; one without a password relies on something better."""
    secret = password(url)
    weak = weakness(secret, SHORTEST_PASSWORD) if secret else None
    return [f"the password in LAZARETTO_DATABASE_URL {weak}"] if weak else []


def faults_of_key(key: str | None) -> list[str]:
    """Of `LAZARETTO_BOOTSTRAP_API_KEY`; none is best."""
    weak = weakness(key, SHORTEST_KEY) if key is not None else None
    return [f"LAZARETTO_BOOTSTRAP_API_KEY {weak}"] if weak else []


def faults_of_public_url(url: str | None) -> list[str]:
    """Of `LAZARETTO_S3_PUBLIC_URL`: what browsers send files and get them by."""
    if not url or urlsplit(url).scheme == "https" or is_loopback(url):
        return []
    return [f"LAZARETTO_S3_PUBLIC_URL is {url}, expected https: files and the right to them go over it"]


def faults_of_networks(allowed: Iterable[str]) -> list[str]:
    """Of `LAZARETTO_WEBHOOK_ALLOWED_NETWORKS`."""
    wide = [each for each in allowed if _holds_metadata(each)]
    said = f"LAZARETTO_WEBHOOK_ALLOWED_NETWORKS has {', '.join(wide)}, in which {_METADATA} hands out credentials"
    return [f"{said}; expected the networks of your receivers"] if wide else []


def password(url: str) -> str:
    """The password in a URL, before its host or among its options; empty where there is none."""
    parts = urlsplit(url)
    return unquote(parts.password or "") or parse_qs(parts.query).get("password", [""])[0]


def is_loopback(url: str) -> bool:
    """Does it lead to this machine and no further? Sockets and files do."""
    host = urlsplit(url).hostname
    if host is None or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _holds_metadata(network: str) -> bool:
    parsed = ip_network(network)
    return parsed.prefixlen == 0 or (
        parsed.version == ip_address(_METADATA).version and ip_address(_METADATA) in parsed
    )
