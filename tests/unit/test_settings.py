"""Every fault in the settings is named, at once, before anything starts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from worker.settings import Settings

SOUND = {
    "env": "production",
    "database_url": "postgresql://lazaretto@db/lazaretto",
    "redis_url": "rediss://:secret@redis:6380/0",
    "clamd": "unix:///run/clamav/clamd.ctl,tcp://clamd:3310",
    "bootstrap_api_key": "k" * 40,
}


def _settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


def test_defaults_are_fit_for_development() -> None:
    assert _settings().clamd


def test_scanners_are_comma_separated() -> None:
    assert _settings(**SOUND).clamd == ("unix:///run/clamav/clamd.ctl", "tcp://clamd:3310")


def test_secrets_do_not_show() -> None:
    assert "secret" not in repr(_settings(**SOUND))
    assert "kkkk" not in repr(_settings(**SOUND))


def test_production_names_every_weakness_at_once() -> None:
    weak = {"env": "production", "redis_url": "redis://h/0", "bootstrap_api_key": "short", "clean_bucket": "quarantine"}
    with pytest.raises(ValidationError) as caught:
        _settings(**weak)
    message = str(caught.value)
    for fault in ("LAZARETTO_DATABASE_URL", "no password", "BOOTSTRAP_API_KEY", "one bucket"):
        assert fault in message


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"clamd": "http://clamd"}, "expected unix:///path or tcp://host:port"),
        ({"clamd": ""}, "expected unix:///path or tcp://host:port"),
        ({"s3_timeout": 10}, "must fit in two thirds of lease_seconds"),
        ({"scan_timeout": 3580}, "shorter than visibility_timeout"),
        ({"clamd": "tcp://clamd:abc"}, "expected unix:///path or tcp://host:port"),
        ({"clamd": "tcp://clamd"}, "expected unix:///path or tcp://host:port"),
        ({"clean_bucket": "quarantine"}, "one bucket"),
        ({"port": 0}, "port"),
        ({"part_size": 1024}, "part_size"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        _settings(**values)
