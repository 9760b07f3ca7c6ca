"""Services under policies of their own, in one system."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from ops.embedded.programs import ours
from tests.calendar import Calendar
from tests.images import encode, photo
from tests.server import Server
from tests.stack import until
from tests.system import System
from worker import policies
from worker.canaries import encrypted_zip
from worker.reconcile import Reconciler

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite"], indirect=True
)  # the queries are tried on both elsewhere

_POLICIES = """
[services.avatars]
types = ["image/jpeg"]
max_size = "1 MiB"
prefix = "public/avatars/"
retention_days = 1
[services.avatars.images]
format = "webp"
max_width = 64

[services.papers]
types = ["text/plain"]
prefix = "public/"
unscannable = "delete"

[services.archive]
prefix = "papers/"
"""
_DAY = 86400.0


@pytest.fixture
def ruled(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """The system, whose every process goes by `_POLICIES`."""
    monkeypatch.setattr(policies, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(policies, "_QUIET_SECONDS", 0.0)
    under_policies = system.with_settings(policy_file=system.with_policy(_POLICIES).policy_file)
    yield under_policies
    under_policies.parts.close()
    under_policies.queue.close()


def _put(client: httpx.Client, name: str, data: bytes) -> dict[str, Any]:
    answer = client.put(f"/v1/uploads/{name}", content=data)
    assert answer.status_code == 202, answer.text
    scan: dict[str, Any] = answer.json()
    return scan


def test_the_same_file_at_once_has_each_service_s_own_outcome(ruled: System) -> None:
    data = encode(photo(), "JPEG")
    names = ["avatars", "papers", "archive", "others"]
    with Server(ruled.settings) as server, ThreadPoolExecutor(4) as pool, ExitStack() as opened:
        clients = {name: opened.enter_context(server.client(ruled.key_of(name))) for name in names}
        begun = dict(zip(names, pool.map(lambda name: _put(clients[name], "a.jpg", data), names), strict=True))
        ended = {name: ruled.work(begun[name]["id"]) for name in names}
        shown = {name: clients[name].get(f"/v1/scans/{begun[name]['id']}").json() for name in names}
    assert {name: scan.status.value for name, scan in ended.items()} == {
        "avatars": "clean",
        "papers": "rejected",
        "archive": "clean",
        "others": "clean",
    }
    assert [reason.code for reason in ended["papers"].reasons] == ["type_not_allowed"]
    small = Image.open(io.BytesIO(ruled.read(ended["avatars"])))
    assert (small.format, small.width) == ("WEBP", 64)
    assert Image.open(io.BytesIO(ruled.read(ended["others"]))).format == "JPEG"
    keys = {name: shown[name]["promoted"]["key"] for name in ("avatars", "archive", "others")}
    ids = {name: begun[name]["id"] for name in names}
    assert keys == {
        "avatars": f"public/avatars/{ids['avatars']}/1-1",
        "archive": f"papers/{ids['archive']}/1-1",
        "others": f"others/{ids['others']}/1-1",
    }
    assert len({shown[name]["policy"] for name in names}) == 4


def test_sizes_are_each_service_s_own(ruled: System) -> None:
    with Server(ruled.settings) as server:
        with server.client(ruled.key_of("avatars")) as avatars:
            refused = avatars.put("/v1/uploads/a.txt", content=bytes((1 << 20) + 1))
        with server.client(ruled.key_of("others")) as others:
            assert others.put("/v1/uploads/a.txt", content=bytes((1 << 20) + 1)).status_code == 202
    assert (refused.status_code, refused.json()["expected"]) == (413, "a file of at most 1048576 bytes")


def test_what_is_unscannable_is_deleted_where_the_policy_says_so(ruled: System, calendar: Calendar) -> None:
    held = ruled.work(ruled.upload(encrypted_zip(), "a.zip", service="archive").id)
    assert held.quarantine_key in ruled.quarantined()
    path = ruled.settings.policy_file
    path.write_text(path.read_text() + 'unscannable = "delete"\n')  # of the last table, [services.archive]
    gone = ruled.work(ruled.upload(encrypted_zip(), "a.zip", service="archive").id)
    assert (gone.status.value, gone.quarantine_key, gone.held) == ("unscannable", None, False)
    assert f"sealed/{gone.id}" not in ruled.quarantined()
    ruled.objects.put(ruled.settings.quarantine_bucket, f"sealed/{gone.id}", b"late")
    calendar.pass_time(_DAY)
    assert f"sealed/{gone.id}" in [found.place.key for found in _reconciled(ruled)]
    assert ruled.scan(held.id).status.value == "unscannable"


def test_a_file_is_held_for_as_long_as_its_service_s_policy_says(ruled: System, calendar: Calendar) -> None:
    path = ruled.settings.policy_file
    path.write_text(path.read_text().replace('types = ["image/jpeg"]', 'types = ["application/zip"]'))
    short = ruled.work(ruled.upload(encrypted_zip(), "a.zip", service="avatars").id)
    usual = ruled.work(ruled.upload(encrypted_zip(), "a.zip", service="others").id)
    calendar.pass_time(_DAY + 1)
    assert ruled.sweep().expired == 1
    assert (ruled.scan(short.id).status.value, ruled.scan(usual.id).status.value) == ("expired", "unscannable")
    calendar.pass_time(29 * _DAY)
    assert ruled.sweep().expired == 1


def test_reconcile_knows_every_prefix_also_those_within_others(ruled: System, calendar: Calendar) -> None:
    data = encode(photo(), "JPEG")
    services = ("avatars", "archive", "others")
    clean = [ruled.work(ruled.upload(data, "a.jpg", service=name).id) for name in services]
    clean.append(ruled.work(ruled.upload(b"hello", "a.txt", service="papers").id))
    path = ruled.settings.policy_file
    path.write_text(path.read_text().replace("public/", "moved/"))
    clean.append(ruled.work(ruled.upload(data, "a.jpg", service="avatars").id))
    ruled.amend(clean[2].id, clean_prefix=None)  # as an older release left it
    assert [scan.status.value for scan in clean] == ["clean"] * 5
    calendar.pass_time(_DAY)
    assert _reconciled(ruled) == []
    strays = ["public/avatars/x", "public/junk/1-1", f"public/{clean[0].id}/1-1", "stray", "nobody/a/b"]
    for key in strays:
        ruled.objects.put(ruled.settings.clean_bucket, key, b"x")
    calendar.pass_time(_DAY)
    assert sorted(found.place.key for found in _reconciled(ruled)) == sorted(strays)


def test_a_policy_may_change_and_break_while_files_come_in(ruled: System) -> None:
    path = ruled.settings.policy_file
    with Server(ruled.settings) as server, server.client(ruled.key_of("papers")) as client:
        assert ruled.work(_put(client, "a.txt", b"hello")["id"]).status.value == "clean"
        good = path.read_text()
        path.write_text(good + "broken")
        assert ruled.work(_put(client, "a.txt", b"hello")["id"]).status.value == "clean"
        readiness = client.get("/readyz")
        assert (readiness.status_code, readiness.json()["checks"]["policy"]["status"]) == (200, "degraded")
        assert "stays in force" in readiness.json()["checks"]["policy"]["detail"]
        path.write_text(good.replace('types = ["text/plain"]', 'types = ["image/png"]'))
        assert ruled.work(_put(client, "a.txt", b"hello")["id"]).status.value == "rejected"
        until(lambda: client.get("/readyz").json()["checks"]["policy"]["status"] == "ok", 10, "another look")


@pytest.mark.parametrize(
    ("name", "service", "outcome", "then"),
    [
        ("a.jpg", "avatars", "clean", "promoted to the clean bucket"),
        ("a.jpg", "papers", "rejected", "deleted"),
        ("a.zip", "others", "unscannable", "held in quarantine for 30 days, until an operator releases it"),
    ],
)
def test_explain_says_what_an_upload_would_come_to(
    ruled: System, s3: dict[str, str], tmp_path: Path, name: str, service: str, outcome: str, then: str
) -> None:
    data = encode(photo(), "JPEG") if name == "a.jpg" else encrypted_zip()
    sample = tmp_path / name
    sample.write_bytes(data)
    told = json.loads(_lazaretto(ruled, s3, "policy", "explain", str(sample), "--service", service, "--json"))
    really = ruled.work(ruled.upload(data, name, service=service).id)
    assert (told["outcome"], told["then"]) == (outcome, then) == (really.status.value, then)
    assert [each["code"] for each in told["reasons"]] == [reason.code for reason in really.reasons]
    assert told["detected_type"] == really.detected_type
    assert (told["promoted"] or {}).get("size") == (really.promoted.size if really.promoted else None)


def _lazaretto(ruled: System, s3: dict[str, str], *arguments: str) -> str:
    settings = ruled.settings
    environment = {
        **os.environ,
        **s3,
        "LAZARETTO_DATABASE_URL": settings.database_url.get_secret_value(),
        "LAZARETTO_CLAMD": ",".join(settings.clamd),
        "LAZARETTO_POLICY_FILE": str(settings.policy_file),
    }
    ran = subprocess.run(
        [ours("lazaretto"), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def _reconciled(ruled: System) -> list[Any]:
    return list(Reconciler(ruled.database, ruled.objects, ruled.settings).findings())
