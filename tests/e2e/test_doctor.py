"""`lazaretto doctor` as an operator runs it, on what `make run` starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.stack import Stack, until

LAZARETTO = str(Path(sys.executable).parent / "lazaretto")


def _doctor(stack: Stack, *options: str) -> tuple[int, str]:
    """Exit code and output, from a folder where nothing but LAZARETTO_HOME leads to the stack."""
    foreign = ("LAZARETTO_", "AWS_")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    ended = subprocess.run(
        [LAZARETTO, "doctor", *options],
        env=variables | {"LAZARETTO_HOME": str(stack.home)},
        cwd=stack.home.parent,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def _records(stack: Stack) -> tuple[int, dict[str, Any]]:
    code, told = _doctor(stack, "--json")
    return code, {each["name"]: each for each in json.loads(told)["checks"]}


def _swept(stack: Stack) -> bool:
    scraped = httpx.get(f"{stack.base_url}/metrics").text
    return any(
        line.startswith("lazaretto_sweeper_last_sweep_timestamp_seconds ") and float(line.split()[1]) > 0
        for line in scraped.splitlines()
    )


def test_what_make_run_starts_passes(stack: Stack) -> None:
    until(lambda: _swept(stack), 60, "a sweep: the sweeper starts last")
    code, checks = _records(stack)
    failed = [each for each in checks.values() if each["verdict"] == "fail"]
    assert (code, failed) == (0, [])
    assert {each["name"] for each in checks.values() if each["verdict"] == "warn"} <= {
        "mode",
        "store-identity",
        "signatures",
        "operator-keys",
        "disk-room",
        "version-clamav",
    }
    for name in (
        "redis-password",
        "public-buckets",
        "canaries",
        "sandbox",
        "http-headers",
        "keys-needed",
        "workers",
        "queues",
        "sweeper",
    ):
        assert checks[name]["verdict"] == "ok", checks[name]
    assert checks["sweeper"]["found"].startswith("its last sweep is ")
    assert all(each["checked"] and each["found"] and each["expected"] and each["mend"] for each in checks.values())


def test_one_danger_is_told_with_how_to_mend_it(stack: Stack) -> None:
    settings = stack.home / "stack.env"
    settings.chmod(0o644)
    code, told = _doctor(stack)
    settings.chmod(0o600)
    assert code == 1
    lines = told.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("fail")]
    assert lines[at].split()[1] == "secret-files"
    assert f"{settings} has mode 644" in lines[at]
    assert [line.split()[0] for line in lines[at + 1 : at + 3]] == ["expected", "mend"]
    assert stack.api_key not in told
