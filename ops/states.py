"""The state diagram in `ops/states.md`, made from `worker.scan.TRANSITIONS`: `python -m ops.states`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from worker.scan import HELD, PENDING, PROMOTED, TRANSITIONS, Status, Transition

PAGE = Path(__file__).with_name("states.md")
_INTRODUCTION = """# The states of a scan

Made from `TRANSITIONS` in `worker/scan.py` by `python -m ops.states`; a test keeps the two in step. Every state says
who moves it on. Leaving a state in which a decision has ended opens the next decision.
"""
_WHERE = {
    Status.RECEIVING: "nowhere, or quarantine",
    **dict.fromkeys(PENDING - {Status.RECEIVING}, "quarantine"),
    Status.SETTLING: "quarantine, or on their way out of it; of what is recalled: clean bucket",
    **dict.fromkeys(PROMOTED, "clean bucket"),
    **dict.fromkeys(HELD, "quarantine, held"),
}


def page() -> str:
    """The whole page, in Markdown with a Mermaid diagram."""
    return "\n".join([_INTRODUCTION, "```mermaid", *_diagram(), "```", "", *_bytes(), "", *_transitions(), ""])


def _diagram() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "    [*] --> receiving"
    arrows: dict[tuple[str, str], list[str]] = {}
    for each in TRANSITIONS:
        movers = arrows.setdefault((_drawn_source(each), each.target.value), [])
        if each.mover.value not in movers:
            movers.append(each.mover.value)
    for (source, target), movers in arrows.items():
        yield f"    {source} --> {target}: {', '.join(movers)}"


def _drawn_source(transition: Transition) -> str:
    """Erasing is possible everywhere: one arrow says so."""
    return "any_state" if transition.target is Status.ERASED else transition.source.value


def _bytes() -> Iterator[str]:
    yield "| state | ended | the bytes are in |"
    yield "|---|---|---|"
    for status in Status:
        yield f"| `{status}` | {'yes' if status.ended else ''} | {_WHERE.get(status, 'nowhere: deleted')} |"


def _transitions() -> Iterator[str]:
    yield "| from | to | by | why |"
    yield "|---|---|---|---|"
    for each in TRANSITIONS:
        yield f"| `{each.source}` | `{each.target}` | {each.mover} | {each.why} |"


if __name__ == "__main__":
    PAGE.write_text(page())
