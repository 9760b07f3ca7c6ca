"""What we give Prometheus and Grafana, by the word of promtool: it can be read, and each alert fires when it should."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from worker.settings import REPOSITORY

FOLDER = REPOSITORY / "ops" / "prometheus"
RULES = (FOLDER / "rules.yml").read_text()
ALERTS = re.findall(r"- alert: (\w+)", RULES)


def _promtool(*arguments: str) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_and_configuration_can_be_read() -> None:
    number = len(ALERTS) + RULES.count("- record:")
    assert f"{number} rules found" in _promtool("check", "rules", str(FOLDER / "rules.yml"))
    assert "SUCCESS" in _promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_each_alert_fires_in_its_case_and_none_while_all_is_well() -> None:
    assert "SUCCESS" in _promtool("test", "rules", str(FOLDER / "tests.yml"))
    cases = (FOLDER / "tests.yml").read_text()
    firing = re.findall(r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n", cases)
    assert set(firing) == set(ALERTS)


def test_each_alert_says_how_bad_it_is_and_leads_to_its_heading_of_the_runbook() -> None:
    headings = re.findall(r"^#+ (.+)$", (REPOSITORY / "ops" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for each in RULES.split("- alert: ")[1:]:
        name, link = each.split("\n", 1)[0], re.search(r"runbook_url: ops/runbook\.md#(\S+)", each)
        assert re.search(r"severity: (critical|warning) ", each), name
        assert "summary: " in each, name
        assert link, name
        assert link[1] == name.lower(), name
        assert link[1] in anchors, name


def _panels() -> list[dict[str, Any]]:
    dashboard = json.loads((REPOSITORY / "ops" / "grafana" / "lazaretto.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions() -> list[str]:
    """Every question that the dashboard asks, as Prometheus will read it."""
    asked = [target["expr"] for panel in _panels() for target in panel["targets"]]
    return [each.replace("$__rate_interval", "5m").replace("$service", ".*") for each in asked]


def test_each_question_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    asked = expressions()
    assert len(asked) > len(_panels()) > 20
    rules = [f"  - {{ record: 'a:{number}', expr: {json.dumps(each)} }}" for number, each in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n- name: dashboard\n  rules:\n" + "\n".join(rules).replace("a:", "a:n"))
    assert f"{len(asked)} rules found" in _promtool("check", "rules", str(file))


@pytest.mark.parametrize("member", ["id", "gridPos"])
def test_panels_lie_beside_each_other(member: str) -> None:
    found = [json.dumps(panel[member]) for panel in _panels()]
    assert len(set(found)) == len(found)
