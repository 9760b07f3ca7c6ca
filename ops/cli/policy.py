"""`lazaretto policy`: is a policy file in order, and what would it do to a file?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from ops.cli import tables
from ops.explain import explain as explained
from worker import telemetry
from worker.policy_file import PolicyFault, PolicyFile
from worker.settings import load

app = typer.Typer(help="Policies: what services may upload.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the record as JSON.")]


@app.command("check")
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The policy; else the one that LAZARETTO_POLICY_FILE names.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Name every fault of a policy file, with its line. 0: none, 1: some."""
    path = file or load().policy_file
    try:
        policies, faults = PolicyFile.load(path), list[str]()
    except PolicyFault as fault:
        policies, faults = None, fault.faults
    services = sorted(policies.services) if policies else []
    if as_json:
        fingerprint = policies.fingerprint if policies else None
        typer.echo(json.dumps({"fingerprint": fingerprint, "services": services, "faults": faults}, indent=2))
    elif policies:
        typer.echo(f"{path}: in order, policy {policies.fingerprint}\n{_on_records(policies)}")
    else:
        typer.echo("\n".join(faults))
    raise SystemExit(1 if faults else 0)


@app.command("explain")
def explain(
    sample: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    service: Annotated[str, typer.Option(help="Whose rules.")],
    policy: Annotated[Path | None, typer.Option(help="A policy file to try; else the one in force.")] = None,
    filename: Annotated[str | None, typer.Option(help="The name it would be uploaded under; else its own.")] = None,
    declared_type: Annotated[str | None, typer.Option(help="The type its sender would give.")] = None,
    as_json: AsJson = False,
) -> None:
    """What would happen to a file, and why. Uploads nothing: it is scanned and re-encoded here."""
    telemetry.configure()
    rules = PolicyFile.load(policy or load().policy_file)
    found = explained(load(), rules, sample, service, filename or sample.name, declared_type)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    console = tables.console()
    for name, value in found.items():
        for line in _lines(value):
            console.print(Text(f"{name:14} ", style="bold"), Text(tables.inert(line)), sep="")


def _on_records(policies: PolicyFile) -> str:
    """What scans have as `policy`: whoever reads a record finds the rules that decided."""
    each = {"the default": policies.default, **dict(sorted(policies.services.items()))}
    return "\n".join(f"  {policy.fingerprint}  {name}" for name, policy in each.items())


def _lines(value: Any) -> list[str]:
    if isinstance(value, list):
        return [", ".join(each.values()) if isinstance(each, dict) else str(each) for each in value] or ["none"]
    if isinstance(value, dict):
        return [f"{name}: {each}" for name, each in value.items()]
    return ["none" if value is None else str(value)]
