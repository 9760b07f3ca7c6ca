"""`lazaretto submit`: upload files and wait for their outcomes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from ops.cli import tables
from ops.cli.client import Api, ApiFault, Source

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
    api, sources = Api(), list(_sources(paths, name))
    if not sources:
        raise ApiFault("there is no file in what was named", "at least one file")
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("scanning", total=len(sources))

        def through(source: tuple[bytes, Source]) -> dict[str, Any]:
            outcome = _outcome(api, *source)
            progress.advance(bar)
            return outcome

        with ThreadPoolExecutor(parallel) as pool:
            scans = list(pool.map(through, sources))
    if as_json:
        typer.echo(json.dumps(scans, indent=2))
    else:
        tables.show(scans, tables.console())
    raise typer.Exit(_exit_code({scan["status"] for scan in scans}))


def _sources(paths: list[Path], stdin_name: str) -> Iterator[tuple[bytes, Source]]:
    """Name and content of each file; a link inside a folder leads elsewhere and is left alone."""
    for path in paths:
        if str(path) == "-":
            yield stdin_name.encode(), sys.stdin.buffer
        elif path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())
            yield from ((os.fsencode(each.name), each) for each in inside)
        elif path.is_file():
            yield os.fsencode(path.name), path
        else:
            raise ApiFault(f"{path}: there is no such file", "a file, a folder, or -")


def _outcome(api: Api, name: bytes, source: Source) -> dict[str, Any]:
    """The scan once it has ended; for an upload that the API refused, a record of the same shape."""
    try:
        return api.outcome(api.upload(name, source)["id"])
    except (ApiFault, OSError) as fault:
        nothing = dict.fromkeys(("id", "size", "sha256", "detected_type", "declared_type"), "")
        error = {"code": "upload_failed", "message": str(fault), "retryable": getattr(fault, "retryable", True)}
        shown = {"filename": os.fsdecode(name), "status": "failed", "reasons": [], "signatures": [], "error": error}
        return nothing | {"size": None} | shown


def _exit_code(statuses: set[str]) -> int:
    if statuses & _REFUSED:
        return 1
    return 0 if statuses <= _PROMOTED else 2
