"""What else is in Redis than what we put there."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.crew import Crew
from tests.stack import until
from tests.system import System
from worker.adapters.task_queue import SCAN_TASK
from worker.lanes import Lane
from worker.scan import Status

_PATIENCE = 60  # seconds


def _message(body: object = ([], {}, {}), **changes: Any) -> bytes:
    """As Celery sends one, but for the changes."""
    whole = {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": SCAN_TASK, "id": "1", "root_id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": Lane.SCANS},
            "delivery_mode": 2,
            "delivery_tag": "1",
        },
    }
    return json.dumps(whole | changes).encode()


MESSAGES = {
    "no JSON": b"hello",
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"1",
    "an empty object": b"{}",
    "without properties": _message(properties=None),
    "without headers": _message(headers=None),
    "no Base64": _message().replace(b'"body": "', b'"body": "*'),
    "another type": _message(**{"content-type": "application/x-python-serialize"}),
    "another encoding": _message(**{"content-encoding": "klingon"}),
    "an unknown task": _message(headers={"lang": "py", "task": "somebody.elses", "id": "1"}),
    "a task without a name": _message(headers={}),
    "a task without an id": _message(headers={"lang": "py", "task": SCAN_TASK}),
    "no arguments": _message(),
    "arguments that are none": _message("hello"),
    "arguments of another kind": _message(([{"a": 1}], {}, {})),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whatever_else_is_in_the_line_ends_no_worker(system: System, s3: Mapping[str, str], tmp_path: Path) -> None:
    with Crew.working(system.settings, s3, tmp_path / "logs", workers=1) as crew:
        main = crew.main
        with redis.Redis.from_url(system.settings.redis_url.get_secret_value()) as client:
            for message in MESSAGES.values():
                client.lpush(Lane.SCANS, message)
            scan = system.upload(b"hello")
            until(lambda: system.scan(scan.id).status is Status.CLEAN, _PATIENCE, "the end of the scan behind them")
            assert client.llen(Lane.SCANS) == 0
            until(lambda: not client.exists("unacked"), _PATIENCE, "each is acknowledged: it would come back")
        assert crew.main == main
