"""Logs: one JSON object a line, ours and the libraries', without what stands in local variables."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
from worker import telemetry
telemetry.configure()
def fail(key):
    raise ValueError("broken")
try:
    fail("topsecret")
except ValueError as fault:
    if sys.argv[1] == "ours":
        telemetry.alarm(telemetry.Log.REQUEST_FAILED, path="/", exc_info=fault)
    else:
        logging.getLogger("library").exception("request_failed")
"""


@pytest.mark.parametrize("whose", ["ours", "a library's"])
def test_a_traceback_tells_where_and_not_what(whose: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, whose], capture_output=True, check=True)
    [line] = done.stderr.decode().splitlines()
    logged = json.loads(line)
    assert (logged["event"], logged["level"]) == ("request_failed", "error")
    assert logged["exception"][0]["frames"][-1]["name"] == "fail"
    assert logged["exception"][0]["exc_value"] == "broken"
    assert "topsecret" not in line.replace("fail", "")
