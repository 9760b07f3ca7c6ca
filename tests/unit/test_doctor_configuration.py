"""What the doctor reads in settings, policy, secrets and logs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ops.doctor import configuration, keys, logs, secrets, transport, versions
from ops.doctor.check import Check, Finding, Verdict
from ops.doctor.subject import Subject
from ops.embedded.application import Api, notifier, slow_worker, sweeper, worker
from worker.services import Scope
from worker.settings import REPOSITORY, Settings

CHECKS: dict[str, Check] = {
    check.name: check for module in (configuration, secrets, logs, transport) for check in module.CHECKS
}
_VARIABLES = {"LAZARETTO_STOP_SECONDS": "1"}
OURS = [
    part.name
    for part in (
        Api("127.0.0.1", 8000, _VARIABLES),
        worker(1, _VARIABLES),
        slow_worker(2, _VARIABLES),
        notifier(_VARIABLES),
        sweeper(_VARIABLES),
    )
]
STRONG = "4c9d1e7a35f802b64c9d1e7a35f802b6"
PRODUCTION = {"LAZARETTO_ENV": "production"}


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": STRONG,
        "AWS_SECRET_ACCESS_KEY": STRONG[::-1],
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": "https://store.example.org",
    }.items():
        monkeypatch.setenv(name, value)


def _look(name: str, variables: Mapping[str, str] = PRODUCTION, /, **fields: Any) -> Finding:
    settings = Settings(_env_file=None, **{"redis_url": SecretStr(f"redis://:{STRONG}@127.0.0.1:9/0")} | fields)
    return CHECKS[name].look(Subject(variables, settings, ()))


def _policy(folder: Path, **settings: str) -> dict[str, Any]:
    path = folder / "policy.toml"
    text = (REPOSITORY / "ops" / "policy.toml").read_text()
    own = "".join(f"{name} = {value}\n" for name, value in settings.items())
    path.write_text(f"{text}\n[services.avatars]\n{own}")
    return {"policy_file": path}


def test_what_production_refuses_is_told_and_everything_else_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAZARETTO_ENV", "production")
    monkeypatch.setenv("LAZARETTO_REDIS_URL", "redis://:hunter2@127.0.0.1:9/0")
    subject = Subject.known_by({"LAZARETTO_ENV": "production"})
    found = CHECKS["settings"].look(subject)
    assert found.verdict is Verdict.FAIL
    assert "not fit for production" in found.found
    assert "LAZARETTO_REDIS_URL has 7 characters" in found.found
    assert subject.production
    assert subject.settings.redis_url.get_secret_value().endswith(":9/0")
    assert "hunter2" not in found.found


def test_settings_that_nobody_can_read_are_told_without_their_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAZARETTO_PORT", "a-secret-by-mistake")
    found = CHECKS["settings"].look(Subject.known_by({}))
    assert found.verdict is Verdict.FAIL
    assert found.found.startswith("LAZARETTO_PORT: ")
    assert "a-secret-by-mistake" not in found.found


def test_development_is_a_warning() -> None:
    assert _look("mode", {}).verdict is Verdict.WARN
    assert _look("mode").verdict is Verdict.OK


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"sandbox_seconds": 700}, "a call of the sandbox may take 700 s, a scan 600 s"),
        ({"presigned_seconds": 90_000}, "an upload form may take 90000 s, receive_timeout 86400 s"),
        ({"retry_base": 90}, "a pause of retries may take 90 s, the longest 60 s"),
    ],
)
def test_time_outs_that_do_not_nest_are_named(fields: dict[str, float], told: str) -> None:
    assert _look("time-outs") == Finding(Verdict.OK, "each ends before the one around it")
    assert _look("time-outs", **fields) == Finding(Verdict.FAIL, told)


def test_a_policy_that_takes_more_than_is_scanned_fails(tmp_path: Path) -> None:
    assert _look("upload-limits").verdict is Verdict.INFO
    finding = _look("upload-limits", **_policy(tmp_path, max_size='"3 GiB"'))
    assert finding.verdict is Verdict.FAIL
    assert "3221225472 bytes" in finding.found


def test_whoever_makes_a_key_as_told_can_do_with_it_all_that_operators_do() -> None:
    """Looking takes `read`, and erasing `submit`."""
    told = [check.mend for check in (*secrets.CHECKS, *keys.CHECKS)]
    told += (REPOSITORY / "ops" / "runbook.md").read_text().splitlines()
    commands = [each for each in told if "keys create" in each and "operate" in each]
    assert len(commands) == 3
    for each in commands:
        assert set(re.findall(r"--scope (\w+)", each)) == {scope.value for scope in Scope}, each


def test_webhooks_in_the_clear_are_dangerous(tmp_path: Path) -> None:
    assert _look("webhook-receivers").verdict is Verdict.NOT_APPLICABLE
    assert _look("webhook-receivers", **_policy(tmp_path, webhook_url='"https://a.example/"')).verdict is Verdict.OK
    plain = _policy(tmp_path, webhook_url='"http://a.example:8080/hooks/T0K3N?key=s3cr3t"')
    assert _look("webhook-receivers", **plain) == Finding(Verdict.FAIL, "in the clear: http://a.example:8080")
    assert _look("webhook-receivers", {}, **plain).verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"redis_url": SecretStr("redis://:secret@h/0")}, "LAZARETTO_REDIS_URL's password is one that everybody knows"),
        ({"bootstrap_api_key": SecretStr("short")}, "LAZARETTO_BOOTSTRAP_API_KEY has 5 characters"),
        ({"database_url": SecretStr("postgresql://u:aaaaaaaaaaaaaaaaaaaa@h/d")}, "is made of 1 different characters"),
    ],
)
def test_secrets_that_can_be_guessed(fields: dict[str, Any], told: str) -> None:
    assert _look("secrets").verdict is Verdict.OK
    finding = _look("secrets", **fields)
    assert finding.verdict is Verdict.FAIL
    assert told in finding.found


def test_the_stores_credentials_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "minioadmin")
    assert _look("secrets") == Finding(Verdict.FAIL, "the S3 secret key is one that everybody knows")


def test_a_secret_that_is_in_the_repository_is_no_secret() -> None:
    """As is this one, from now on."""
    assert _look("published-secrets").verdict is Verdict.FAIL  # STRONG stands above
    drawn = {"redis_url": SecretStr(f"redis://:{STRONG[1:]}{STRONG[1:]}@127.0.0.1:9/0")}
    finding = _look("published-secrets", **drawn)
    assert "LAZARETTO_REDIS_URL" not in finding.found


def test_a_bootstrap_key_in_production_is_a_warning() -> None:
    assert _look("bootstrap-key").verdict is Verdict.OK
    assert _look("bootstrap-key", bootstrap_api_key=SecretStr(STRONG)).verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("name", "variables", "fields", "verdict"),
    [
        ("api-tls", {}, {}, Verdict.INFO),
        ("api-tls", {"LAZARETTO_URL": "https://scan.example.org"}, {"host": "0.0.0.0"}, Verdict.OK),
        ("api-tls", {}, {"host": "0.0.0.0"}, Verdict.FAIL),
        ("api-tls", {}, {"host": "::"}, Verdict.FAIL),
        ("api-tls", {}, {"host": ""}, Verdict.FAIL),
        ("api-tls", {}, {"host": "::1"}, Verdict.INFO),
        ("api-tls", {"LAZARETTO_URL": "http://scan.example.org"}, {}, Verdict.FAIL),
        ("store-tls", {}, {}, Verdict.OK),
        ("store-tls", {}, {"s3_public_url": "http://files.example.org"}, Verdict.FAIL),
        ("store-tls", {}, {"s3_public_url": "http://127.0.0.1:9000"}, Verdict.INFO),
        ("inside-tls", {}, {}, Verdict.OK),
        ("inside-tls", {}, {"redis_url": SecretStr("redis://:p@redis.example/0")}, Verdict.WARN),
        ("inside-tls", {}, {"redis_url": SecretStr("rediss://:p@redis.example/0")}, Verdict.OK),
        ("inside-tls", {}, {"clamd": "tcp://clamd.example:3310"}, Verdict.WARN),
        ("inside-tls", {}, {"database_url": SecretStr("postgresql://u@db.example/d")}, Verdict.WARN),
        ("inside-tls", {}, {"database_url": SecretStr("postgresql://u@[::ffff:10.0.0.1]/d")}, Verdict.WARN),
        (
            "inside-tls",
            {},
            {"database_url": SecretStr("postgresql:///d?host=db1.example&host=db2.example")},
            Verdict.WARN,
        ),
        ("inside-tls", {}, {"database_url": SecretStr("postgresql:///d?host=/run/postgresql")}, Verdict.OK),
        ("inside-tls", {}, {"database_url": SecretStr("postgresql://u@db.example/d?sslmode=verify-full")}, Verdict.OK),
    ],
)
def test_what_leaves_the_machine_in_the_clear(
    name: str, variables: dict[str, str], fields: dict[str, Any], verdict: Verdict
) -> None:
    assert _look(name, PRODUCTION | variables, **fields).verdict is verdict


@pytest.mark.parametrize("name", OURS)
def test_the_log_of_every_process_is_looked_at(tmp_path: Path, name: str) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{name}.log").write_text(STRONG)
    assert _look("log-secrets", home=tmp_path).verdict is Verdict.FAIL


def test_logs_are_json_and_hold_no_secret(tmp_path: Path) -> None:
    assert _look("log-form", home=tmp_path).verdict is Verdict.NOT_APPLICABLE
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "worker.log"
    event = '{"event": "scan_ended", "level": "info", "timestamp": "2026-11-25T10:00:00Z"}\n'
    log.write_text("a banner\n" + event)
    assert _look("log-form", home=tmp_path).verdict is Verdict.OK
    assert _look("log-secrets", home=tmp_path).verdict is Verdict.OK
    log.write_text(event + '{"event": "scan_ended", "level": "debug"}\n{"half\n')
    found = _look("log-form", home=tmp_path)
    assert found.verdict is Verdict.WARN
    for fault in ("an event without timestamp", "the level is debug", "a line that begins as JSON is none"):
        assert fault in found.found
    log.write_text(event.replace("scan_ended", STRONG))
    found = _look("log-secrets", home=tmp_path)
    assert found.verdict is Verdict.FAIL
    assert found.found == f"LAZARETTO_REDIS_URL's password stands in {log}"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (f"lz_{'a' * 8}_{'Z' * 43}", "an API key stands in"),
        (f"whsec_{'A' * 32}", "what webhooks are signed with stands in"),
        (f"X-Amz-Signature={'0f' * 32}", "a signed address stands in"),
    ],
)
def test_logs_hold_nobodys_secret(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text(f'{{"event": "{written}"}}\n')
    found = _look("log-secrets", home=tmp_path)
    assert found.verdict is Verdict.FAIL
    assert found.found.startswith(told)


@pytest.mark.parametrize("parser", versions.PARSERS, ids=lambda parser: parser.name)
def test_a_parser_older_than_a_known_fault_is_told(parser: versions.Parser) -> None:
    subject = Subject(PRODUCTION, None, ())
    assert versions.judge(parser, parser.least, subject).verdict is Verdict.OK
    major = int(parser.least.split(".")[0])
    assert versions.judge(parser, f"{major + 1}.0.0", subject).verdict is Verdict.OK
    old = versions.judge(parser, "0.103.11", subject)
    assert old.verdict is (Verdict.INFO if parser.distribution else Verdict.FAIL)
    assert parser.why in old.found


@pytest.mark.parametrize("name", ["libvips", "libheif", "Pillow", "libarchive", "libmagic"])
def test_the_libraries_here_tell_their_version(name: str) -> None:
    [parser] = [each for each in versions.PARSERS if each.name == name]
    found = versions.judge(parser, parser.version(Subject({}, None, ())), Subject(PRODUCTION, None, ()))
    assert found.verdict is (Verdict.INFO if "older than" in found.found else Verdict.OK)
