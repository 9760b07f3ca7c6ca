"""What browsers load: as it was vendored, in the distribution, and nothing that the policy of the pages forbids."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from api.dashboard.pages import STATIC

TEMPLATES = STATIC.parent / "templates"
VENDOR = STATIC / "vendor"
REPOSITORY = STATIC.parents[2]
_NOT_SHIPPED = {"SHA256SUMS", "package.json", "package-lock.json"}  # by which `make vendor` fetches


def _templates() -> list[Path]:
    found = sorted(TEMPLATES.rglob("*.html"))
    assert len(found) >= 5
    return found


def test_vendored_scripts_are_what_was_vendored() -> None:
    lines = (line.split("  ") for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    scripts = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert scripts == sums
    assert len(scripts) == 2


def test_each_vendored_package_brings_its_licence() -> None:
    scripts = {path.name.split(".")[0] for path in VENDOR.glob("*.js")}
    licences = {path.name.removesuffix(".LICENSE") for path in VENDOR.glob("*.LICENSE")}
    assert licences == scripts


def test_the_distribution_carries_every_template_and_static_file(tmp_path: Path) -> None:
    build = "from setuptools import setup; setup()"
    folders = ["egg_info", "--egg-base", str(tmp_path), "build_py", "--build-lib", str(tmp_path / "built")]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, "--quiet", *folders],
        cwd=REPOSITORY,
        check=True,
        timeout=60,
        capture_output=True,
    )
    built = tmp_path / "built" / "api" / "dashboard"
    for folder in (TEMPLATES, STATIC):
        wanted = {path.relative_to(STATIC.parent) for path in folder.rglob("*") if path.is_file()}
        shipped = {path.relative_to(built) for path in (built / folder.name).rglob("*") if path.is_file()}
        assert {path for path in wanted if path.name not in _NOT_SHIPPED} == shipped


@pytest.mark.parametrize("template", _templates(), ids=lambda path: path.name)
def test_no_template_holds_what_the_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "a script that stands in the page"
    assert not re.search(r"<style|\sstyle=", text), "styles that stand in the page"
    assert not re.search(r"\son\w+\s*=|hx-on|hx-vals=.js:|javascript:", text), "code in an attribute"
    assert not re.search(r"\|\s*safe\b|autoescape", text), "text that is not escaped"
    assert not re.search(r"""(?:src|href|action)=["']?(?:https?:)?//""", text), "another host"
    assert not re.search(r"\s[\w-]+=\{\{", text), "a value without quotes, which escaping does not hold"
