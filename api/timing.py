"""What the time of a request went into, for whoever sent it: `Server-Timing` (https://www.w3.org/TR/server-timing/).

Only where a valid key came along: anybody else would learn how busy we are.
"""

from __future__ import annotations

from worker.spent import Tally

KEY_IS_KNOWN = "key_is_known"  # in the request's state


def server_timing(seconds: float, tally: Tally) -> str:
    """The header of an answer that took so long. What went on side by side may add up to more than the total."""
    calls = f"{tally.transactions} transactions, {tally.statements} statements"
    metrics = [f"total;dur={_milliseconds(seconds)}", f'db;dur={_milliseconds(tally.database)};desc="{calls}"']
    if tally.store:
        metrics.append(f"store;dur={_milliseconds(tally.store)}")
    return ", ".join(metrics)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
