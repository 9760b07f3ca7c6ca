"""Periods as people type them."""

from __future__ import annotations

import re

import typer

_PERIOD = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_UNITS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 1000 * 365 * 86400.0  # no calendar reaches as far back as people can type


def seconds(text: str) -> float:
    """A period such as 5s, 2m, 1h or 90d, in seconds. Raises `typer.BadParameter`."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no period, expected one like 5s, 2m, 1h or 90d")
    period = float(match[1]) * _UNITS[match[2]]
    if period > _LONGEST:
        raise typer.BadParameter(f"{text!r} is longer than anything here lasts, expected at most 1000 years")
    return period
