"""Every fault in the settings is named, at once, before anything starts."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from worker.settings import Settings

SOUND = {
    "env": "production",
    "database_url": "postgresql://lazaretto@db/lazaretto",
    "redis_url": "rediss://:4c9d1e7a35f802b6-secret@redis:6380/0",
    "clamd": "unix:///run/clamav/clamd.ctl,tcp://clamd:3310",
    "bootstrap_api_key": "0123456789abcdef" + "k" * 24,
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


def test_secrets_do_not_show_in_faults() -> None:
    with pytest.raises(ValidationError) as caught:
        _settings(**SOUND | {"clean_bucket": "quarantine", "port": 0})
    for name in ("bootstrap_api_key", "redis_url"):
        assert str(SOUND[name]) not in str(caught.value)
    with pytest.raises(ValidationError) as caught:
        _settings(redis_url="redis://h/0", env="production", bootstrap_api_key="short-and-secret")
    assert "short-and-secret" not in str(caught.value)


def test_production_names_every_weakness_at_once() -> None:
    weak = {
        "env": "production",
        "redis_url": "redis://h/0",
        "bootstrap_api_key": "short",
        "clean_bucket": "quarantine",
        "s3_public_url": "http://files.example.org",
    }
    with pytest.raises(ValidationError) as caught:
        _settings(**weak)
    message = str(caught.value)
    for fault in ("LAZARETTO_DATABASE_URL", "no password", "BOOTSTRAP_API_KEY", "one bucket", "S3_PUBLIC_URL"):
        assert fault in message


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"redis_url": "redis://redis:6379/0"}, "LAZARETTO_REDIS_URL has no password"),
        ({"redis_url": "redis://:ChangeMe@redis:6379/0"}, "LAZARETTO_REDIS_URL is one that everybody knows"),
        ({"redis_url": "redis://:4c9d1e7a35f802b@redis:6379/0"}, "has 15 characters, expected at least 16"),
        ({"redis_url": "unix:///run/redis.sock?password=%73ecret"}, "LAZARETTO_REDIS_URL is one that everybody knows"),
        ({"database_url": "postgresql://lazaretto:postgres@db/l"}, "LAZARETTO_DATABASE_URL is one that everybody"),
        ({"database_url": "postgresql://lazaretto:abababababababab@db/l"}, "is made of 2 different characters"),
        ({"bootstrap_api_key": "0123456789abcdef"}, "BOOTSTRAP_API_KEY has 16 characters, expected at least 32"),
        ({"bootstrap_api_key": "k" * 40}, "BOOTSTRAP_API_KEY is made of 1 different characters"),
        ({"s3_public_url": "http://files.example.org"}, "is http://files.example.org, expected https"),
        ({"webhook_allowed_networks": "10.0.0.0/8,0.0.0.0/0"}, "has 0.0.0.0/0, in which 169.254.169.254 hands out"),
        ({"webhook_allowed_networks": "169.254.0.0/16"}, "has 169.254.0.0/16"),
        ({"webhook_allowed_networks": "::/0"}, "has ::/0"),
    ],
)
def test_production_refuses_what_is_weak_and_development_does_not(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match="not fit for production: .*" + told) as caught:
        _settings(**SOUND | values)
    assert "4c9d1e7a35f802b" not in str(caught.value)
    _settings(**SOUND | values | {"env": "development"})


@pytest.mark.parametrize(
    "values",
    [
        {"redis_url": "unix:///run/redis.sock?password=4c9d1e7a35f802b6"},
        {"database_url": "postgresql://lazaretto:4c9d1e7a35f802b6@db/lazaretto"},
        {"database_url": "postgresql:///lazaretto"},
        {"s3_public_url": "https://files.example.org"},
        {"webhook_allowed_networks": "10.0.0.0/8,fd00::/8"},
        {"bootstrap_api_key": None},
    ],
)
def test_production_takes_what_is_strong(values: dict[str, object]) -> None:
    assert _settings(**SOUND | values)


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
