"""`lazaretto`: the command-line tool."""

from __future__ import annotations

import typer

import lazaretto_client
from ops.cli import (
    backfill,
    doctor,
    erase,
    installation,
    keys,
    metrics,
    policy,
    reconcile,
    release,
    rescan,
    retry,
    scans,
    services,
    stats,
    submit,
    system,
    tables,
    webhooks,
)
from worker.errors import LazarettoError

app = typer.Typer(
    help="Uploads are quarantined, scanned, and promoted or deleted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("submit")(submit.submit)
app.add_typer(scans.app, name="scans")
scans.app.command("retry")(retry.retry)
scans.app.command("rescan")(rescan.rescan)
scans.app.command("release")(release.release)
scans.app.command("erase")(erase.erase)
app.add_typer(services.app, name="services")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(stats.app, name="stats")
app.command("migrate")(system.migrate)
app.command("sweep")(system.sweep)
app.command("metrics")(metrics.metrics)
app.command("backfill")(backfill.backfill)
app.command("reconcile")(reconcile.reconcile)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """The entry point: a fault that we know is one line, not a traceback."""
    try:
        installation.find()
        app()
    except (LazarettoError, lazaretto_client.LazarettoError) as fault:
        expected = f" (expected: {fault.expected})" if fault.expected else ""
        told = f"lazaretto: {fault}{expected}"  # which may name a key that a service has chosen
        typer.echo("\n".join(tables.inert(line) for line in told.splitlines()), err=True)
        raise SystemExit(2) from None
