"""What is examined: an installation's settings, and connections to whatever they name, each made when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
import httpx
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import ValidationError
from sqlalchemy import make_url

from worker.adapters.clamd import Endpoint
from worker.errors import Permanent
from worker.policy_file import PolicyFile
from worker.production import password
from worker.settings import Environment, Settings
from worker.store.database import Database

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

T = TypeVar("T")
_ENV, _URL = "LAZARETTO_ENV", "LAZARETTO_URL"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (where one connects to what listens everywhere)
_API_SECONDS = 10.0
_SCAN_SECONDS = 20.0  # the longest wait for a scanner's answer


class Subject:
    """One installation. Safe to use from several threads; nothing is connected to before it is asked for."""

    def __init__(self, variables: Mapping[str, str | None], settings: Settings | None, faults: tuple[str, ...]) -> None:
        """`settings`: None where they cannot be read. `faults`: why processes would refuse them."""
        self.variables, self.faults = variables, faults
        self.production = variables.get(_ENV) == Environment.PRODUCTION
        self._settings = settings
        self._made: dict[str, Any] = {}
        self._lock = threading.RLock()

    @classmethod
    def known_by(cls, variables: Mapping[str, str | None]) -> Subject:
        """The installation that the environment leads to. Settings that production refuses are examined all the
        same."""
        try:
            return cls(variables, Settings(), ())
        except ValidationError as fault:
            faults = tuple(_told(each) for each in fault.errors())
        try:
            return cls(variables, Settings(env=Environment.DEVELOPMENT), faults)
        except ValidationError:
            return cls(variables, None, faults)

    @property
    def settings(self) -> Settings:
        """Raises `Permanent` where they cannot be read."""
        if self._settings is None:
            raise Permanent("the settings cannot be read: " + "; ".join(self.faults))
        return self._settings

    @property
    def database(self) -> Database:
        """Raises `Permanent` where SQLite's file is missing: looking must not make one."""
        url = make_url(self.settings.database_url.get_secret_value())
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise Permanent(f"there is no database {url.database}")
        return self._once("database", lambda: Database(str(self.settings.database_url.get_secret_value())))

    @property
    def policy(self) -> PolicyFile:
        """As its file has it now. Raises `PolicyFault`."""
        return PolicyFile.load(self.settings.policy_file)

    @property
    def store(self) -> S3Client:
        """With our credentials."""
        return self._once("store", lambda: self._client())

    @property
    def anonymous_store(self) -> S3Client:
        """As anybody may ask it."""
        return self._once("anonymous_store", lambda: self._client(signature_version=UNSIGNED))

    @property
    def api(self) -> httpx.Client:
        """Without a key."""
        return self._once("api", lambda: httpx.Client(base_url=self.url, timeout=_API_SECONDS, trust_env=False))

    @property
    def url(self) -> str:
        """Where the API is."""
        host = _EVERYWHERE.get(self.settings.host, self.settings.host)
        return self.variables.get(_URL) or f"http://{f'[{host}]' if ':' in host else host}:{self.settings.port}"

    @property
    def endpoints(self) -> list[Endpoint]:
        """Every scanner."""
        wait = self.settings.connect_timeout
        return [Endpoint(address, connect_timeout=wait, timeout=_SCAN_SECONDS) for address in self.settings.clamd]

    @property
    def buckets(self) -> tuple[str, str]:
        """Quarantine and clean."""
        return self.settings.quarantine_bucket, self.settings.clean_bucket

    def secrets(self) -> dict[str, str]:
        """What nobody else may know, by what it is; what is not set is left out."""
        settings = self._settings
        if settings is None:
            return {}
        key = settings.bootstrap_api_key
        named = {
            "LAZARETTO_BOOTSTRAP_API_KEY": key.get_secret_value() if key else "",
            "LAZARETTO_REDIS_URL's password": password(settings.redis_url.get_secret_value()),
            "LAZARETTO_DATABASE_URL's password": password(settings.database_url.get_secret_value()),
            "the S3 secret key": _secret_key(),
        }
        return {name: value for name, value in named.items() if value}

    def close(self) -> None:
        for each in self._made.values():
            each.close()

    def _client(self, **options: Any) -> S3Client:
        config = Config(
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.s3_timeout,
            retries={"total_max_attempts": 1},
            **options,
        )
        return boto3.session.Session().client("s3", config=config)

    def _once(self, name: str, make: Callable[[], T]) -> T:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            made: T = self._made[name]
            return made


def _secret_key() -> str:
    """As boto3's own chain finds it."""
    try:
        credentials = boto3.session.Session().get_credentials()
    except BotoCoreError:  # which the checks of the store tell
        return ""
    return str(credentials.secret_key) if credentials else ""


def _told(error: Any) -> str:
    """Without what was typed: it may be a secret."""
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"LAZARETTO_{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
