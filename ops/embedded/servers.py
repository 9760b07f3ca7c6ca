"""The servers that a stack starts for itself, and the settings by which its processes find them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ops.embedded.accounts import confined
from ops.embedded.clamd_server import ACCOUNT, Clamd
from ops.embedded.configuration import Wishes
from ops.embedded.faults import StackFault
from ops.embedded.home import Home
from ops.embedded.redis_server import Redis
from ops.embedded.s3_server import PORTS, Seaweed
from ops.embedded.service import Service
from ops.embedded.signatures import choose, within_reach

_REDIS = "LAZARETTO_REDIS_URL"
_CLAMD = "LAZARETTO_CLAMD"
_STORE = "AWS_ENDPOINT_URL_S3"
_DATABASE = "LAZARETTO_DATABASE_URL"
_KEY = "LAZARETTO_BOOTSTRAP_API_KEY"


@dataclass
class Servers:
    """What to start, and what to tell everybody about it."""

    services: list[Service] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)


def compose(home: Home, wishes: Wishes, say: Callable[[str], None]) -> Servers:
    """A server for every address that the operator did not set. Raises `StackFault`."""
    servers = Servers()
    ports = home.ports(["redis", *PORTS])
    secrets = home.secrets(["REDIS_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "API_KEY"])
    if not wishes.given(_KEY):
        servers.settings[_KEY] = secrets["API_KEY"]
    if not wishes.given(_DATABASE):
        servers.settings[_DATABASE] = f"sqlite:///{home.path / 'lazaretto.db'}"
    if not wishes.given(_REDIS):
        redis = Redis(home.path / "redis", ports["redis"], secrets["REDIS_PASSWORD"])
        servers.services.append(redis)
        servers.settings[_REDIS] = redis.url
    if not wishes.given(_STORE):
        store = _store(home, wishes, ports, secrets)
        servers.services.append(store)
        servers.settings |= store.settings()
    if not wishes.given(_CLAMD):
        clamd = _scanner(home, wishes, say)
        servers.services.append(clamd)
        servers.settings[_CLAMD] = clamd.address
    return servers


def _store(home: Home, wishes: Wishes, ports: dict[str, int], secrets: dict[str, str]) -> Seaweed:
    buckets = (
        wishes.given("LAZARETTO_QUARANTINE_BUCKET") or "quarantine",
        wishes.given("LAZARETTO_CLEAN_BUCKET") or "clean",
    )
    keys = secrets["S3_ACCESS_KEY"], secrets["S3_SECRET_KEY"]
    return Seaweed(home.path / "s3", home.runtime, ports, *keys, buckets=buckets)


def _scanner(home: Home, wishes: Wishes, say: Callable[[str], None]) -> Clamd:
    signatures = choose(home.path / "clamav", wishes.path("LAZARETTO_CLAMAV_DATABASE_DIR"), say)
    if signatures.development:
        if wishes.production:
            raise StackFault(
                "LAZARETTO_ENV=production needs ClamAV's own signatures and only the development set is here; "
                "run freshclam, or set LAZARETTO_CLAMAV_DATABASE_DIR to a folder with *.cvd or *.cld"
            )
        say("development signatures: clamd knows EICAR and ClamAV's test program, and no real malware")
    account = confined(ACCOUNT)
    place = home.runtime / "clamav"
    directory: Path = within_reach(signatures.directory, account, home.runtime / "signatures")
    return Clamd(place, directory, account=account)
