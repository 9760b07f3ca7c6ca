"""`lazaretto`: the command-line tool."""

from __future__ import annotations

import typer

import lazaretto_client
from ops.cli import installation, tables
from ops.cli.on_demand import OnDemand
from worker.errors import LazarettoError

app = typer.Typer(
    cls=OnDemand,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _lazaretto() -> None:
    """Uploads are quarantined, scanned, and promoted or deleted."""


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
