"""What keeps the embedded stack from running, in the operator's words."""

from __future__ import annotations


class StackFault(Exception):
    """The embedded stack cannot run. The message says what failed and what would help."""


class Interrupted(Exception):
    """The operator asked the stack to stop while it was still starting."""
