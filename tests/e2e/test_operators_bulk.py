"""What operators have done behind all uploads, with the whole stack: a recall, and a backfill that is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from tests.later import MALWARE, NAME, known_malware, scanner_of
from tests.outcomes import policy
from tests.receiver import Receiver
from tests.stack import Stack, until

LAZARETTO = Path(sys.executable).with_name("lazaretto")
MANY = 1000  # objects, of several steps
_SECONDS = 60


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver.running() as running:
        yield running


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, development_signatures: Path, receiver: Receiver) -> Iterator[Stack]:
    """A stack whose one service names a webhook."""
    folder = tmp_path_factory.mktemp("told")
    rules = {"LAZARETTO_POLICY_FILE": str(policy(folder, {"default": receiver.url}))}
    with Stack.started(
        folder / "stack", development_signatures, **rules, LAZARETTO_WEBHOOK_ALLOWED_NETWORKS="127.0.0.1/32"
    ) as stack:
        yield stack


def _begun(stack: Stack, *arguments: str) -> subprocess.Popen[str]:
    command, pipe = [str(LAZARETTO), *arguments], subprocess.PIPE
    environment = {"LAZARETTO_HOME": stack.env["LAZARETTO_HOME"], "PATH": "/usr/bin"}
    return subprocess.Popen(command, cwd=stack.home, env=environment, text=True, stdout=pipe, stderr=pipe)


def _run(stack: Stack, *arguments: str) -> tuple[int, str, str]:
    with _begun(stack, *arguments) as process:
        out, err = process.communicate(timeout=_SECONDS)
        return process.returncode, out, err


def _matched(stack: Stack, *arguments: str) -> int:
    _, out, err = _run(stack, "scans", "rescan", "--signatures-older-than", "7d", "--json", *arguments)
    assert out, err
    return int(json.loads(out)["matched"])


def test_malware_that_is_known_later_is_recalled_and_its_service_told(told: Stack, receiver: Receiver) -> None:
    with told.client() as client:
        bad = client.put("/v1/uploads/later.txt", content=b"Hello. " + MALWARE).json()["id"]
        good = client.put("/v1/uploads/good.txt", content=b"Hello.").json()["id"]
        for scan_id in (bad, good):
            assert client.get(f"/v1/scans/{scan_id}?wait=30").json()["status"] == "clean"
        assert len(told.keys("clean")) == 2
        with known_malware(scanner_of(told)):
            assert _matched(told, "--dry-run") == 2, "development signatures are of unknown age"
            assert _matched(told, "--yes") == 2
            until(lambda: _status(client, bad) == "infected", _SECONDS, "the recall")
            until(lambda: len(client.get(f"/v1/scans/{good}/events").json()["items"]) == 6, _SECONDS, "a note")
        recalled = client.get(f"/v1/scans/{bad}").json()
        assert (recalled["decision"], recalled["signatures"]) == (2, [f"{NAME}.UNOFFICIAL"])
        assert [key.split("/")[1] for key in told.keys("clean")] == [good]
        assert _status(client, good) == "clean"
    until(lambda: len(receiver.received) >= 3, _SECONDS, "three webhooks")
    bodies = [json.loads(each.body) for each in receiver.received]
    events = sorted((each["data"]["id"], each["data"]["decision"], each["type"]) for each in bodies)
    assert events == sorted([(bad, 1, "scan.clean"), (bad, 2, "scan.infected"), (good, 1, "scan.clean")])
    assert _run(told, "scans", "rescan", good)[:2] == (0, "1 in line to be looked at once more\n")
    code, _, err = _run(told, "scans", "rescan", bad)
    assert code == 2
    assert f"{bad}: The scan is infected." in err


def _status(client: httpx.Client, scan_id: str) -> str:
    return str(client.get(f"/v1/scans/{scan_id}").json()["status"])


def test_a_backfill_that_is_interrupted_goes_on(told: Stack) -> None:
    env = told.env
    session = boto3.session.Session(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
    store = session.client("s3", endpoint_url=env["AWS_ENDPOINT_URL_S3"], region_name=env["AWS_REGION"])
    store.create_bucket(Bucket="legacy")
    keys = [f"old/{number:04}.txt" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put_object(Bucket="legacy", Key=key, Body=key.encode()), keys))
    store.close()
    command = ("backfill", "legacy/old/", "--service", "default", "--yes", "--json")
    with told.client() as client:
        begun = _begun(told, *command)
        until(lambda: len(_backfilled(client, limit=1)) > 0, _SECONDS, "the first step")
        begun.send_signal(signal.SIGINT)
        out, err = begun.communicate(timeout=_SECONDS)
        assert (begun.returncode, out) == (130, ""), err
        first = len(_backfilled(client))
        assert 0 < first < MANY
        assert f"interrupted: {first} of {MANY} put on record" in err
        code, out, err = _run(told, *command)
        assert (code, json.loads(out)["done"]) == (0, MANY - first), err
        assert f"{first} known before" in err
        found = _backfilled(client)
        assert sorted(scan["metadata"]["backfill"] for scan in found) == [f"s3://legacy/{key}" for key in keys]
        until(lambda: any(scan["status"] == "clean" for scan in _backfilled(client)), _SECONDS, "the first of them")
        upload = client.put("/v1/uploads/now.txt", content=b"not behind all that").json()["id"]
        assert client.get(f"/v1/scans/{upload}?wait=10").json()["status"] == "clean"
        waiting = client.get("/v1/scans", params={"status": "queued", "limit": 1}).json()["items"]
        assert waiting, "behind it some still wait"
    assert len(told.keys("legacy")) == MANY, "the originals stay"


def _backfilled(client: httpx.Client, limit: int = MANY) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while len(found) < limit:
        page = client.get("/v1/scans", params={"limit": str(min(200, limit)), **cursor}).json()
        found += [scan for scan in page["items"] if "backfill" in scan["metadata"]]
        if page["next_cursor"] is None or limit == 1:
            return found
        cursor = {"cursor": page["next_cursor"]}
    return found
