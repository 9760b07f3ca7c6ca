"""What a store's answer to a probe says about what may be done."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from botocore.exceptions import BotoCoreError, ClientError

_FORBIDDEN = (401, 403)
_UNKNOWN = frozenset({405, 501})  # the store has no such call


class Answer(Enum):
    """To whoever asked."""

    ALLOWED = auto()
    REFUSED = auto()
    UNCLEAR = auto()


def ask(call: Callable[[], object], *, allowed: frozenset[str] = frozenset()) -> Answer:
    """Try a call. `allowed`: codes of faults that only whoever may do it is told of."""
    try:
        call()
    except ClientError as fault:
        status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if fault.response.get("Error", {}).get("Code") in allowed:
            return Answer.ALLOWED
        return Answer.REFUSED if status in _FORBIDDEN or status in _UNKNOWN else Answer.UNCLEAR
    except (BotoCoreError, OSError):
        return Answer.UNCLEAR
    return Answer.ALLOWED
