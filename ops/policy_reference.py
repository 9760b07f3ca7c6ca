"""Writes `ops/policy-reference.md` from the model that checks policies: `python -m ops.policy_reference`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from worker.policy import ImagePolicy, LimitPolicy, Policy

PAGE = Path(__file__).with_name("policy-reference.md")
_INTRODUCTION = """# The policy

What a service may upload, and what becomes of it: a TOML file, named by `LAZARETTO_POLICY_FILE` (else
`ops/policy.toml`). `[default]` holds for everybody; `[services.NAME]` says what is different for one service, and takes
the rest from the default, also within `images` and `limits`. A changed file is in force within a second, for scans that
begin from then on; a faulty one changes nothing and is told in `/readyz` and in the log (`policy_refused`).

    lazaretto policy check FILE                      # every fault, with its line
    lazaretto policy explain SAMPLE --service NAME   # what would happen to a file, and why

Sizes are numbers of bytes or text like `"5 MiB"`. Each record names the version of the policy that decided
(`policy`), as `policy check` lists them.

    [services.avatars]
    types = ["image/jpeg", "image/png", "image/heic"]
    max_size = "5 MiB"
    webhook_url = "https://avatars.example/uploads/events"

    [services.avatars.images]
    format = "webp"
    max_width = 512
"""


def page() -> str:
    """The whole page, in Markdown."""
    tables: dict[str, type[BaseModel]] = {
        "default": Policy,
        "default.images": ImagePolicy,
        "default.limits": LimitPolicy,
    }
    return "\n".join([_INTRODUCTION, *(line for name, model in tables.items() for line in _table(name, model))])


def _table(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## `[{name}]`, `[{name.replace('default', 'services.NAME')}]`\n"
    yield "| key | meaning | default |"
    yield "|---|---|---|"
    for key, field in model.model_fields.items():
        yield f"| `{key}` | {field.description} | {_default(field)} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "none: must be given"
    if isinstance(field.default, BaseModel):
        return "see below"
    return "" if field.default is None else f"`{field.default}`"


if __name__ == "__main__":
    PAGE.write_text(page())
