"""Infrastructure and security, in one frozen object: every address, secret, time-out and limit of ours.

What a service may upload is content, not infrastructure, and lives in the policy (`worker.policy`).
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from worker import production

MIB = 1024 * 1024
_SCANNER_ADDRESS = re.compile(r"unix:///.+|tcp://(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}")
REPOSITORY = Path(__file__).resolve().parent.parent


class Environment(StrEnum):
    """`production` refuses to start with a missing secret or a weak setting."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """Read from `LAZARETTO_*` variables or `.env`; S3 credentials and endpoint come from boto3's own chain.

    Times are in seconds, sizes in bytes. Raises `pydantic.ValidationError` naming every fault at once.
    """

    model_config = SettingsConfigDict(
        env_prefix="LAZARETTO_",
        env_file=".env",
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,  # it holds secrets, and faults end up in logs
    )

    NECESSARY: ClassVar[frozenset[str]] = frozenset({"database_url", "redis_url", "clamd"})  # in production

    env: Environment = Environment.DEVELOPMENT
    home: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)

    database_url: SecretStr = SecretStr("sqlite:///var/lazaretto.db")
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    quarantine_bucket: str = "quarantine"
    clean_bucket: str = "clean"
    s3_public_url: str | None = None
    clamd: Annotated[tuple[str, ...], NoDecode] = ("unix:///run/clamav/clamd.ctl",)
    policy_file: Path = REPOSITORY / "ops" / "policy.toml"
    bootstrap_api_key: SecretStr | None = None

    metrics_dir: Path | None = Field(
        None, description="what the processes of this machine count is kept here; None: each counts for itself"
    )

    # Intake
    part_size: int = Field(8 * MIB, ge=5 * MIB, description="one part of a large upload; S3's minimum is 5 MiB")
    upload_idle_timeout: float = Field(60, gt=0, description="an upload that sends next to nothing for so long ends")
    max_metadata_bytes: int = Field(16 * 1024, description="the JSON object a service may attach")
    max_filename_characters: int = Field(4096, description="longer names are cut, which the record shows")
    presigned_seconds: int = Field(
        900, gt=0, le=604800, description="how long an upload form works; the slowest upload must fit in"
    )
    content_url_seconds: int = Field(60, description="how long a download address works")

    max_waiting: int = Field(
        10_000, ge=0, description="so many uploads may wait for a worker before others are refused; 0: any number"
    )
    min_free_disk: int = Field(
        512 * MIB, ge=0, description="uploads are refused where home or scratch have less (or less than a tenth) left"
    )

    # Work
    memory_limit: int = Field(16 * MIB, description="files up to this size are scanned from memory, not disk")
    scratch_dir: Path | None = Field(None, description="where larger files lie while scanned; None: $TMPDIR")
    large_size: int = Field(
        4 * MIB, ge=4, description="files from here on, images and archives from a quarter of it: they delay no others"
    )
    lease_seconds: float = Field(30, gt=3, description="a worker that is silent for so long has lost its scan")
    scan_timeout: float = Field(600, gt=0, description="the longest one attempt at a scan may take")
    max_attempts: int = Field(3, ge=1, description="attempts that count, before `failed`")
    retry_base: float = Field(2, gt=0, description="the first pause before another attempt; doubles")
    retry_cap: float = Field(60, gt=0, description="the longest pause before another attempt")
    stop_seconds: float = Field(25, gt=0, le=3600, description="how long running scans may go on after SIGTERM")
    visibility_timeout: float = Field(3600, description="Redis redelivers a task unacknowledged for so long")

    # Dependencies
    connect_timeout: float = Field(2, gt=0)
    s3_timeout: float = Field(7, gt=0, description="the longest silence of the store within one call")
    canary_seconds: float = Field(300, gt=0, description="how often each scanner must flag its canaries")
    signature_max_age_hours: float = Field(72, gt=0, description="older signatures: the scanner takes no work")

    # Sandbox
    sandbox_memory: int = Field(4096 * MIB, description="address space of one child; 100 megapixels of AVIF take 3 GiB")
    sandbox_seconds: float = Field(60, gt=0, description="wall clock and CPU time of one call")
    sandbox_output: int = Field(512 * MIB, description="bytes that one call may write")

    # Recovery
    receive_timeout: float = Field(
        86400,
        description="so old, a multipart upload is aborted, and a file that its service never had scanned is reported",
    )
    enqueue_grace: float = Field(10, description="how long after its enqueue a task is not enqueued again")

    # Webhooks
    webhook_allowed_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="networks (CIDR) that webhooks may reach although they are private"
    )
    webhook_timeout: float = Field(10, gt=0, le=60, description="the longest one delivery may take, all together")
    webhook_retry_base: float = Field(5, gt=0, description="the first pause before another attempt; doubles")
    webhook_retry_cap: float = Field(3600, gt=0, description="the longest pause before another attempt")
    webhook_give_up_hours: float = Field(24, gt=0, description="how long a delivery is tried, from its first attempt")
    webhook_failures: int = Field(5, ge=1, description="failures in a row after which a receiver is left in peace")
    webhook_peace_cap: float = Field(300, gt=0, description="the longest time that a receiver is left in peace")
    webhook_keep_days: int = Field(30, ge=1, description="how long deliveries stay on record")

    @field_validator("clamd", "webhook_allowed_networks", mode="before")
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("clamd")
    @classmethod
    def _scanner_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [each for each in value if not _SCANNER_ADDRESS.fullmatch(each)]
        if wrong or not value:
            raise ValueError(f"got {wrong or 'nothing'}, expected unix:///path or tcp://host:port")
        return value

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError as fault:
                raise ValueError(f"{each!r} is no network ({fault}), expected CIDR such as 10.0.0.0/8") from None
        return value

    @property
    def s3_call_limit(self) -> float:
        """The longest that one call to the store takes, in seconds: it is repeated once, after at most a second.
        A lease is renewed at a third of its length, so two thirds of it are left at any moment."""
        return 2 * (self.s3_timeout + self.connect_timeout) + 1

    @property
    def receive_lease(self) -> float:
        """How long an upload's API process may be silent, in seconds, before the upload is given up: as long as its
        client may be, and the store."""
        return self.upload_idle_timeout + 2 * self.lease_seconds

    @property
    def task_limit(self) -> float:
        """The longest that one task may take, in seconds, before its process is killed."""
        return self.scan_timeout + self.lease_seconds

    @model_validator(mode="after")
    def _time_outs_nest(self) -> Self:
        if not self.s3_call_limit < self.lease_seconds * 2 / 3:
            raise ValueError("twice s3_timeout + connect_timeout must fit in two thirds of lease_seconds")
        if not self.task_limit < self.visibility_timeout:
            raise ValueError("scan_timeout + lease_seconds must be shorter than visibility_timeout, or tasks run twice")
        return self

    @model_validator(mode="after")
    def _strong_in_production(self) -> Self:
        if self.env is Environment.PRODUCTION and (faults := self._weaknesses()):
            raise ValueError("not fit for production: " + "; ".join(faults))
        return self

    @model_validator(mode="after")
    def _quarantine_is_apart(self) -> Self:
        """In any environment: in one bucket, `reconcile` would take what is promoted for litter in quarantine."""
        if self.quarantine_bucket == self.clean_bucket:
            raise ValueError("quarantine and clean are one bucket, expected two")
        return self

    def _weaknesses(self) -> list[str]:
        faults = []
        if self.NECESSARY - self.model_fields_set:
            named = [f"LAZARETTO_{name.upper()}" for name in sorted(self.NECESSARY)]
            faults.append(f"{', '.join(named[:-1])} and {named[-1]} must be set")
        faults += production.faults_of_redis(self.redis_url.get_secret_value())
        faults += production.faults_of_database(self.database_url.get_secret_value())
        key = self.bootstrap_api_key
        faults += production.faults_of_key(key.get_secret_value() if key else None)
        faults += production.faults_of_public_url(self.s3_public_url)
        faults += production.faults_of_networks(self.webhook_allowed_networks)
        if self.quarantine_bucket == self.clean_bucket:
            faults.append("quarantine and clean are one bucket, expected two")
        return faults


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process, read once."""
    return Settings()
