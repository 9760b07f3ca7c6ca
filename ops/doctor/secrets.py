"""Secrets: could somebody guess them, or read them where everybody can?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ops.doctor.check import Check, Finding, danger, judged, not_applicable, ok, warn
from ops.doctor.subject import Subject
from worker.production import SHORTEST_KEY, SHORTEST_PASSWORD, weakness
from worker.settings import REPOSITORY

_BOOTSTRAP = "LAZARETTO_BOOTSTRAP_API_KEY"
_FOLDERS = ("api", "ops", "tests", ".ci")
_TEXTS = frozenset({".py", ".md", ".toml", ".yml", ".yaml", ".json", ".conf", ".sh", ".service", ".example"})
_LARGEST_TEXT = 1024 * 1024  # bytes
_SHORTEST = 8  # characters of a secret that is looked for; less is weak anyway, and a word


def _strength(subject: Subject) -> Finding:
    secrets = subject.secrets()
    if not secrets:
        return not_applicable("no secret is set")
    faults = []
    for name, value in secrets.items():
        weak = weakness(value, SHORTEST_KEY if name == _BOOTSTRAP else SHORTEST_PASSWORD)
        if weak:
            faults.append(f"{name} {weak}")
    return judged(faults, f"long and random: {', '.join(secrets)}", lambda found: danger(subject, found))


def _published(subject: Subject) -> Finding:
    """In what is handed out with the program: everybody has it."""
    secrets = {name: value for name, value in subject.secrets().items() if len(value) >= _SHORTEST}
    faults = []
    for path in _texts(REPOSITORY):
        text = path.read_text(errors="replace")
        faults += [f"{name} stands in {path.relative_to(REPOSITORY)}" for name, each in secrets.items() if each in text]
    return judged(faults, "none is in a file of the program", lambda found: danger(subject, found))


def _texts(root: Path) -> Iterator[Path]:
    """Not `.env`: that is where secrets belong."""
    for folder in _FOLDERS:
        yield from (path for path in (root / folder).rglob("*") if _is_text(path))
    yield from (path for path in root.glob("*") if _is_text(path))


def _is_text(path: Path) -> bool:
    return path.suffix in _TEXTS and path.is_file() and path.stat().st_size <= _LARGEST_TEXT


def _bootstrap_key(subject: Subject) -> Finding:
    if subject.settings.bootstrap_api_key is None:
        return ok("not set")
    if subject.production:
        return warn("set: whoever reads the environment of one process may do everything")
    return ok("set, in development")


CHECKS = (
    Check(
        name="secrets",
        what="the strength of keys and passwords",
        expected=f"random, {SHORTEST_KEY} characters for the bootstrap key, {SHORTEST_PASSWORD} for the others",
        mend="openssl rand -hex 24 makes one",
        look=_strength,
    ),
    Check(
        name="published-secrets",
        what="secrets in the files of the program",
        expected="none of ours is a sample, or was committed",
        mend="change it, at the server and in the settings",
        look=_published,
    ),
    Check(
        name="bootstrap-key",
        what=_BOOTSTRAP,
        expected="not set in production, once operators have keys of their own",
        mend="lazaretto keys create SERVICE --scope operate --scope read --scope submit, unset it, "
        "lazaretto keys revoke its prefix",
        look=_bootstrap_key,
    ),
)
