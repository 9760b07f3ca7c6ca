"""Many scans at once: the number is shown and confirmed first, progress is seen, and what is interrupted can be
repeated."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import NoReturn

import typer
from rich.console import Console
from rich.progress import Progress

from lazaretto_client import LazarettoError
from ops.cli import tables

NOTHING_DONE, FAULT, INTERRUPTED = 1, 2, 130  # exit codes; the last is that of whatever Ctrl-C ends


@dataclass
class Tally:
    """What a command has done. `faults`: by the scan's id."""

    matched: int
    dry_run: bool = False
    done: int = 0
    faults: dict[str, str] = field(default_factory=dict)


def confirm(number: int, what: str, *, yes: bool) -> None:
    """Whoever acts on many must have seen how many. Ends the command where they do not say so."""
    question = f"Type {number} to have {number} {'scan' if number == 1 else 'scans'} {what}"
    if not yes and typer.prompt(question, default="", show_default=False, err=True) != str(number):
        typer.echo("nothing is done", err=True)
        raise typer.Exit(NOTHING_DONE)


@contextmanager
def progress(tally: Tally, what: str) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; gives what is called with the number of scans that are done. Ctrl-C ends the command with
    what it has come to."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        bar = bars.add_task(what, total=tally.matched)

        def done(number: int) -> None:
            tally.done += number
            bars.advance(bar, number)

        try:
            yield done
        except KeyboardInterrupt:
            bars.stop()
            told = f"interrupted: {tally.done} of {tally.matched} {what}; the same command goes on where this one ended"
            typer.echo(told, err=True)
            raise typer.Exit(INTERRUPTED) from None


def one_by_one(tally: Tally, what: str, ids: list[str], act: Callable[[str], object]) -> None:
    """Act on each; a scan with which it cannot be done keeps no other from it."""
    with progress(tally, what) as done:
        for scan_id in ids:
            try:
                act(scan_id)
                done(1)
            except LazarettoError as fault:
                tally.faults[scan_id] = f"{fault} (expected: {fault.expected})" if fault.expected else str(fault)
                if fault.retryable:  # it is the server's, so it would be that of every other scan
                    break


def finish(tally: Tally, what: str, *, as_json: bool) -> NoReturn:
    """Say what was done. Exit code 0: all of it, or it was only counted; 1: there was nothing; 2: not all."""
    if as_json:
        typer.echo(json.dumps(asdict(tally), indent=2))
    else:
        number = tally.matched if tally.dry_run else tally.done
        typer.echo(f"{number} would be {what}" if tally.dry_run else f"{number} {what}")
        for scan_id, fault in tally.faults.items():
            typer.echo(tables.inert(f"{scan_id}: {fault}"), err=True)
    if tally.faults:
        raise typer.Exit(FAULT)
    raise typer.Exit(0 if tally.matched else NOTHING_DONE)
