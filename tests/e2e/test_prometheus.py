"""A scrape of the running stack has whatever our rules and our dashboard ask for, from every process of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ops.embedded.ports import choose
from tests import processes
from tests.service.test_prometheus_rules import RULES, expressions
from tests.stack import Stack, until

LAZARETTO = Path(sys.executable).with_name("lazaretto")
# Known only of official signatures, which tests do not have.
WITHOUT_SAMPLES = {"lazaretto_signature_age_seconds"}
_SELECTOR = re.compile(r"\b(lazaretto_[a-z_0-9]+)(?:\{([^}]*)\})?")


def _scrape(stack: Stack) -> dict[str, Metric]:
    page = httpx.get(f"{stack.base_url}/metrics")
    assert page.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(page.text)}


def _value(stack: Stack, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in _scrape(stack).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return sum(found)


@pytest.fixture(scope="module")
def used(stack: Stack) -> Stack:
    """A stack through which files have gone, in each way, to more than one end."""
    with stack.client() as client:
        sent = [
            client.put("/v1/uploads/a.txt", content=b"hello"),
            client.post("/v1/uploads", files={"file": ("a.exe", b"MZ" + bytes(100))}),
        ]
        for each in sent:
            client.get(f"/v1/scans/{each.json()['id']}", params={"wait": 60})
        client.get("/v1/scans")
    until(lambda: _value(stack, "lazaretto_sweeper_last_sweep_timestamp_seconds") > 0, 20, "a sweep")
    until(lambda: _value(stack, "lazaretto_scanner_up") > 0, 20, "a scanner")
    return stack


def _asked() -> Iterator[tuple[str, str]]:
    """Names of metrics, and what their labels are compared with."""
    prose = ("#", "summary:", "runbook_url:")
    rules = [line for line in RULES.splitlines() if not line.lstrip().startswith(prose)]
    yield from _SELECTOR.findall("\n".join([*rules, *expressions()]))


def test_every_metric_and_label_that_is_asked_for_is_there(used: Stack) -> None:
    families = _scrape(used)
    samples = {sample.name: sample for family in families.values() for sample in family.samples}
    asked = list(_asked())
    assert len({name for name, _ in asked}) > 25
    for name, labels in asked:
        assert name in samples or name in WITHOUT_SAMPLES & families.keys(), name
        for label in re.findall(r"(\w+) ?[!=]", labels):
            assert label in samples[name].labels, f"{name}{{{labels}}}"


def test_every_value_that_an_alert_waits_for_is_there_before_it_first_comes(used: Stack) -> None:
    """`increase` sees nothing in the first sample of a series."""
    samples = [sample for family in _scrape(used).values() for sample in family.samples]
    compared = [
        (name, label, value) for name, labels in _asked() for label, value in re.findall(r'(\w+)=~?"([\w|]+)"', labels)
    ]
    assert len(compared) > 10
    for name, label, values in compared:
        for value in values.split("|"):
            assert any(each.name == name and each.labels[label] == value for each in samples), (name, label, value)


def test_recorded_names_are_those_that_alerts_ask_for() -> None:
    recorded = set(re.findall(r"record: (\S+)", RULES))
    assert set(re.findall(r"\blazaretto:\w+(?::\w+)?", "\n".join([RULES, *expressions()]))) == recorded


def test_what_a_killed_process_counted_is_not_lost(used: Stack) -> None:
    """And whoever comes in its place counts on, in no more files."""
    folder = used.home / "metrics"
    attempts, files = _value(used, "lazaretto_scan_attempts_total"), len(list(folder.glob("counter_*.db")))
    main = used.named("worker.tasks worker --queues scans")
    for child in processes.family(main) - {main}:
        if "celery" in processes.command(child):
            os.kill(child, signal.SIGKILL)
    with used.client() as client:
        sent = client.put("/v1/uploads/a.txt", content=b"hello").json()
        assert client.get(f"/v1/scans/{sent['id']}", params={"wait": 60}).json()["status"] == "clean"
    until(lambda: _value(used, "lazaretto_scan_attempts_total") == attempts + 1, 10, "one attempt more")
    assert len(list(folder.glob("counter_*.db"))) == files


def test_whichever_of_several_api_processes_is_asked_tells_of_all(used: Stack) -> None:
    port = choose(["second-api"])["second-api"]
    program = [str(LAZARETTO.with_name("uvicorn")), "api.app:create_app", "--factory", "--workers", "2"]
    program += ["--port", str(port)]
    env = used.env | {"PATH": os.defpath}

    def answered(path: str) -> bool:
        with suppress(httpx.TransportError):  # a connection for each, or one process would have them all
            return httpx.get(f"http://127.0.0.1:{port}{path}").status_code < 500
        return False

    route = {"route": "other", "status": "404"}
    before = _value(used, "lazaretto_http_requests_total", **route)
    with subprocess.Popen(
        [*program, "--port", str(port)], env=env, cwd=used.home, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until(lambda: answered("/healthz"), 60, "two processes of the API")
            assert all(answered("/nowhere") for _ in range(40))
            until(lambda: _value(used, "lazaretto_http_requests_total", **route) == before + 40, 10, "all of them")
        finally:
            process.terminate()


def test_a_machine_without_an_api_tells_of_itself(used: Stack) -> None:
    port = choose(["metrics"])["metrics"]
    command = [str(LAZARETTO), "metrics", "--port", str(port)]
    env = used.env | {"PATH": os.defpath}
    with subprocess.Popen(command, env=env, cwd=used.home, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == f"serving http://127.0.0.1:{port}/metrics\n".encode()
            page = httpx.get(f"http://127.0.0.1:{port}/metrics")
            part = httpx.get(f"http://127.0.0.1:{port}/metrics", params={"name[]": "lazaretto_build_info"})
        finally:
            process.terminate()
    assert process.returncode == 0
    names = {family.name for family in text_string_to_metric_families(page.text)}
    assert {"lazaretto_scan_attempts", "lazaretto_build_info", "lazaretto_policy_refused"} <= names
    assert not names & {"lazaretto_queue_waiting", "lazaretto_dependency_up"}, "of the installation the API tells"
    assert [family.name for family in text_string_to_metric_families(part.text)] == ["lazaretto_build_info"]


def test_without_a_shared_folder_there_is_nothing_to_tell(used: Stack) -> None:
    env = {name: value for name, value in used.env.items() if name != "LAZARETTO_METRICS_DIR"}
    env |= {"PATH": os.defpath, "LAZARETTO_HOME": "/nonexistent"}
    done = subprocess.run([str(LAZARETTO), "metrics"], env=env, cwd="/", capture_output=True, check=False)
    assert done.returncode == 2
    assert b"LAZARETTO_METRICS_DIR" in done.stderr
