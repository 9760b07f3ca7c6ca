"""Templates, and what all of them know. Whatever is put into one is escaped: names of files are hostile."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.dashboard.session import Session
from worker import clock

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_UNITS = ("B", "kB", "MB", "GB", "TB")
_TIMES = (("d", 86400), ("h", 3600), ("min", 60))  # each with its seconds


def page(
    request: Request, name: str, session: Session | None = None, status: HTTPStatus = HTTPStatus.OK, **known: Any
) -> HTMLResponse:
    """A page made from a template, for whoever is logged in; kept by no cache."""
    html = _environment().get_template(name).render(request=request, session=session, **known)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"static": _static, "version": version("lazaretto")}
    environment.filters |= {"inert": inert, "size": size, "moment": moment, "duration": duration, "age": age}
    return environment


@cache
def _static(name: str) -> str:
    """The address of a file of ours; another one whenever the file is."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def inert(text: str) -> str:
    """Text that hides nothing: control characters and reversed writing become visible."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def size(number: int | None) -> str:
    """Bytes for people."""
    if number is None:
        return ""
    amount, power = float(number), 0
    while amount >= 1000 and power < len(_UNITS) - 1:
        amount, power = amount / 1000, power + 1
    return f"{number} B" if power == 0 else f"{amount:.1f} {_UNITS[power]}"


def moment(value: datetime | None) -> str:
    """A time in UTC; what runs in the browser adds how long ago that is."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if value else ""


def duration(seconds: float) -> str:
    """A time for people: no more than two units of it, and fractions only of what is short."""
    if seconds < 10:
        return f"{max(0.0, seconds):.2f} s"
    for at, (unit, length) in enumerate(_TIMES):
        if seconds >= length:
            whole, rest = divmod(int(seconds), length)
            smaller, shorter = (*_TIMES, ("s", 1))[at + 1]
            return f"{whole} {unit} {rest // shorter} {smaller}" if rest >= shorter else f"{whole} {unit}"
    return f"{int(seconds)} s"


def age(value: datetime) -> str:
    """How long ago a moment was, roughly: what is read at a glance, and does not change at every look."""
    seconds = max(0.0, (clock.now() - value).total_seconds())
    for unit, length in _TIMES:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"
