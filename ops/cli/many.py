"""Whatever is done to many at once: how many is said first, and asked; then it can be watched, and broken off."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

INTERRUPTED = 130  # what a shell makes of Ctrl-C


def confirm(number: int, what: str, *, yes: bool) -> None:
    """Return if it is meant. Whoever does something to so many must have seen how many."""
    if yes:
        return
    if typer.prompt(f"Type {number} to {what}", default="", show_default=False, err=True) != str(number):
        typer.echo("nothing is done", err=True)
        raise typer.Exit(1)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Progress]:
    """On a terminal, and on standard error: `progress.advance(progress.task_ids[0], n)`."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        progress.add_task(what, total=total)
        yield progress


def sum_up(summary: dict[str, Any], text: str, *, as_json: bool) -> None:
    """The last word: a JSON object, or a line."""
    typer.echo(json.dumps(summary) if as_json else text)
