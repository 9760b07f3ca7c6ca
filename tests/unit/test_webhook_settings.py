"""Settings of webhooks: a fault is named, and the notifier needs no more than it uses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from worker.notifier import NotifierSettings
from worker.settings import Settings

SOUND: dict[str, Any] = {
    "env": "production",
    "database_url": "postgresql://lazaretto@db/lazaretto",
    "redis_url": "rediss://:4c9d1e7a35f802b6-secret@redis:6380/0",
}


def test_networks_are_comma_separated() -> None:
    settings = Settings(_env_file=None, webhook_allowed_networks="10.0.0.0/8, fd00::/8")
    assert settings.webhook_allowed_networks == ("10.0.0.0/8", "fd00::/8")
    assert Settings(_env_file=None).webhook_allowed_networks == ()


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "10.0.0.0/33", "intranet", "fd00::/129"])
def test_a_network_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(ValidationError, match=f"'{wrong}' is no network"):
        Settings(_env_file=None, webhook_allowed_networks=f"10.0.0.0/8,{wrong}")


def test_a_notifier_in_production_knows_no_scanner() -> None:
    assert NotifierSettings(_env_file=None, **SOUND).clamd
    with pytest.raises(ValidationError, match=r"LAZARETTO_CLAMD, .*_DATABASE_URL and .*_REDIS_URL must be set"):
        Settings(_env_file=None, **SOUND)
    with pytest.raises(ValidationError, match="LAZARETTO_DATABASE_URL and LAZARETTO_REDIS_URL must be set"):
        NotifierSettings(_env_file=None, env="production")
