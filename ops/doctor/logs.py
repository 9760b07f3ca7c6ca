"""Logs: can a machine read them, and is there nothing in them that nobody should?"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ops.doctor.check import Check, Finding, fail, judged, not_applicable, ok, warn
from ops.doctor.subject import Subject

_OURS = ("api", "worker", "slow-worker", "sweeper", "notifier")
_LAST_BYTES = 1024 * 1024  # of each, that are looked at
_NEEDED = ("event", "level", "timestamp")
_SHORTEST = 8  # characters of a secret that is looked for
_SHAPES = {  # of what is anybody's
    "an API key": re.compile(r"\blz_[a-z2-9]{8}_[A-Za-z0-9_-]{43}"),
    "what webhooks are signed with": re.compile(r"\bwhsec_[A-Za-z0-9+/=]{24,}"),
    "a signed address": re.compile(r"X-Amz-Signature=[0-9a-f]{64}"),
}


def _form(subject: Subject) -> Finding:
    events, faults = 0, []
    for path in _logs(subject):
        for line in _tail(path).splitlines():
            if line.startswith("{"):
                events += 1
                faults += [f"{path}: {fault}" for fault in _faults_of(line)]
    if not events and not faults:
        return not_applicable("no log of ours is here: they go to standard error, for a collector")
    return judged(dict.fromkeys(faults), f"{events} events, each a JSON object with name, level and time", warn)


def _faults_of(line: str) -> Iterator[str]:
    try:
        event = json.loads(line)
    except ValueError:
        yield "a line that begins as JSON is none"
        return
    lacking = [name for name in _NEEDED if name not in event]
    if lacking:
        yield f"an event without {', '.join(lacking)}"
    if event.get("level") == "debug":
        yield "the level is debug"


def _secrets(subject: Subject) -> Finding:
    logs = list(_logs(subject))
    if not logs:
        return not_applicable("no log of ours is here")
    hidden = {name: each for name, each in subject.secrets().items() if len(each) >= _SHORTEST}
    texts = {path: _tail(path) for path in logs}
    told = {f"{name} stands in {path}" for path, text in texts.items() for name, each in hidden.items() if each in text}
    told |= {
        f"{name} stands in {path}" for path, text in texts.items() for name, of in _SHAPES.items() if of.search(text)
    }
    return fail("; ".join(sorted(told))) if told else ok(f"none in {len(logs)} logs")


def _logs(subject: Subject) -> Iterator[Path]:
    folder = subject.settings.home / "logs"
    return (path for path in (folder / f"{name}.log" for name in _OURS) if path.exists())


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _LAST_BYTES))
        return file.read().decode("utf-8", "replace")


CHECKS = (
    Check(
        name="log-form",
        what="our logs in LAZARETTO_HOME, where the embedded stack writes them",
        expected="JSON lines, from the level info on",
        mend="see who else writes into them",
        look=_form,
    ),
    Check(
        name="log-secrets",
        what="keys and passwords in our logs",
        expected="none",
        mend="change what was written, delete the log, and report it: that is a bug",
        look=_secrets,
    ),
)
