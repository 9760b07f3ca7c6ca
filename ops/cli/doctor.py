"""`lazaretto doctor`: the hardening checklist, run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli import installation, tables
from ops.doctor.check import Result, Verdict
from ops.doctor.checklist import CHECKLIST
from ops.doctor.examine import examine, passed
from ops.doctor.subject import Subject
from worker import telemetry

_COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}
_TOLD = ("expected", "mend")  # of whatever was not found as it should be


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False) -> None:
    """Is this installation fit for files of strangers? Changes nothing. 0: nothing is dangerous, 1: something is.

    n/a: does not apply here. info: nothing that could be judged. warn: should be mended.
    fail: is dangerous, or could not be looked at.
    """
    telemetry.configure()
    with closing(Subject.known_by(installation.known())) as subject:
        results = examine(CHECKLIST, subject)
    if as_json:
        typer.echo(json.dumps({"passed": passed(results), "checks": [record(each) for each in results]}, indent=2))
    else:
        _show(results)
    raise typer.Exit(0 if passed(results) else 1)


def record(result: Result) -> dict[str, Any]:
    """A line, for programs."""
    told = {"name": result.check.name, "verdict": result.finding.verdict.value, "checked": result.check.what}
    return told | {"found": result.finding.found, "expected": result.check.expected, "mend": result.check.mend}


def _show(results: Sequence[Result]) -> None:
    console = tables.console()
    for result in results:
        verdict = result.finding.verdict
        console.print(
            Text(f"{verdict.value:5}", style=_COLOURS.get(verdict, "")),
            Text(f"{result.check.name:18}", style="bold"),
            Text(tables.inert(f"{result.check.what}: {result.finding.found}")),
            soft_wrap=True,
        )
        if verdict in (Verdict.WARN, Verdict.FAIL):
            for name in _TOLD:
                console.print(Text(f"{'':6}{name:18} {getattr(result.check, name)}"), soft_wrap=True)
    counts = [f"{sum(each.finding.verdict is verdict for each in results)} {verdict.value}" for verdict in Verdict]
    console.print(", ".join(counts), soft_wrap=True)
