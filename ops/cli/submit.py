"""`lazaretto submit`: upload files and wait for their outcomes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import Progress

import lazaretto_client
from lazaretto_client import Lazaretto
from ops.cli import tables
from ops.cli.client import connect
from worker.errors import LazarettoError

Source = Path | BinaryIO

_REFUSED = {"infected", "rejected"}
_PROMOTED = {"clean", "released"}


def submit(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, folders, or - for standard input.")],
    name: Annotated[str, typer.Option(help="The name of what comes from standard input.")] = "stdin",
    parallel: Annotated[int, typer.Option(min=1, max=64, help="How many at once.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the scans as a JSON array.")] = False,
) -> None:
    """Upload files and wait for their outcomes.

    Exit code 0: all clean; 1: something infected or rejected; 2: something unscannable or failed.
    """
    sources = list(_sources(paths, name))
    if not sources:
        raise LazarettoError("there is no file in what was named", expected="at least one file")
    with connect() as lazaretto:
        scans = _outcomes(lazaretto, sources, parallel)
    if as_json:
        typer.echo(json.dumps(scans, indent=2))
    else:
        tables.show(scans, tables.console())
    raise typer.Exit(_exit_code({scan["status"] for scan in scans}))


def _outcomes(lazaretto: Lazaretto, sources: list[tuple[str, Source]], parallel: int) -> list[dict[str, Any]]:
    """All of them, in their order, behind a bar on a terminal."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("scanning", total=len(sources))

        def through(source: tuple[str, Source]) -> dict[str, Any]:
            outcome = _outcome(lazaretto, *source)
            progress.advance(bar)
            return outcome

        with ThreadPoolExecutor(parallel) as pool:
            return list(pool.map(through, sources))


def _sources(paths: list[Path], stdin_name: str) -> Iterator[tuple[str, Source]]:
    """Name and content of each file; a link inside a folder leads elsewhere and is left alone."""
    for path in paths:
        if str(path) == "-":
            yield stdin_name, sys.stdin.buffer
        elif path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())
            yield from ((each.name, each) for each in inside)
        elif path.is_file():
            yield path.name, path
        else:
            raise LazarettoError(f"{path}: there is no such file", expected="a file, a folder, or -")


def _outcome(lazaretto: Lazaretto, name: str, source: Source) -> dict[str, Any]:
    """The scan once it has ended; for an upload that the API refused, a record of the same shape."""
    try:
        accepted = lazaretto.upload(source, filename=name)
        return dict(lazaretto.wait(accepted.id).raw)
    except (lazaretto_client.LazarettoError, OSError) as fault:
        nothing = dict.fromkeys(("id", "size", "sha256", "detected_type", "declared_type"), "")
        error = {"code": "upload_failed", "message": str(fault), "retryable": getattr(fault, "retryable", True)}
        shown = {"filename": name, "status": "failed", "reasons": [], "signatures": [], "error": error}
        return nothing | {"size": None} | shown


def _exit_code(statuses: set[str]) -> int:
    if statuses & _REFUSED:
        return 1
    return 0 if statuses <= _PROMOTED else 2
