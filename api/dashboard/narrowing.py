"""What a list of scans is narrowed to, as it stands in the address."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import ImmutableMultiDict

from api.scans import SHA256, UUID, in_our_time
from worker import clock
from worker.scan import Status
from worker.store.scans import Filter

LONGEST_TEXT = 4096  # characters, as of the longest name
_MOST_IDS = 200
_SEVERAL = ("id", "status")
_AGO = re.compile(r"(\d{1,5})([mhd])")
_UNIT = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


class BadFilter(Exception):
    """What a list is to be narrowed to makes no sense; the message says what was expected."""


def _moment(value: object) -> object:
    """`2h`, `7d` and `90m` are so long ago; a moment without a time zone is one in UTC."""
    if not isinstance(value, str):
        return value
    if ago := _AGO.fullmatch(value.strip()):
        return clock.now() - int(ago[1]) * _UNIT[ago[2]]
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError as fault:
        raise ValueError("expected a moment such as 2026-01-15T09:30, or an age such as 2h or 7d") from fault
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _storable(text: str) -> str:
    """PostgreSQL can neither hold nor look for NUL, and no database for halves of surrogate pairs."""
    if "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        raise ValueError("expected text without NUL and halves of surrogate pairs")
    return text


_Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_storable)]
_Moment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(in_our_time)]


class Narrowing(BaseModel):
    """The filter, what was typed into the search field, and from where on the list goes."""

    model_config = ConfigDict(frozen=True)

    q: _Text | None = None
    id: tuple[Annotated[str, Field(pattern=UUID)], ...] = Field((), max_length=_MOST_IDS)
    status: tuple[Status, ...] = ()
    service: _Text | None = None
    reason: _Text | None = None
    signature: _Text | None = None
    type: _Text | None = None
    name: _Text | None = None
    sha256: Annotated[str, Field(pattern=SHA256)] | None = None
    since: _Moment | None = None
    until: _Moment | None = None
    cursor: Annotated[str, Field(pattern=UUID)] | None = None

    @classmethod
    def read(cls, given: ImmutableMultiDict[str, Any], besides: frozenset[str] = frozenset()) -> Self:
        """Of an address, or of a form that has other fields `besides`; what is left empty counts for nothing.

        Raises `BadFilter`, also for what it does not know: a filter with a slip in it would let everything through.
        """
        if unknown := sorted(set(given) - set(cls.model_fields) - besides):
            raise BadFilter(f"{', '.join(unknown)}: expected some of {', '.join(cls.model_fields)}")
        fields: dict[str, Any] = {}
        for name in cls.model_fields:
            values = [each.strip() for each in given.getlist(name) if isinstance(each, str) and each.strip()]
            if values:
                fields[name] = tuple(values) if name in _SEVERAL else values[-1]
        try:
            return cls.model_validate(fields)
        except ValidationError as fault:
            told = (f"{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}" for each in fault.errors())
            raise BadFilter("; ".join(told)) from fault

    @property
    def filter(self) -> Filter:
        """All of it but the search, which may be understood in several ways."""
        return Filter(
            ids=self.id,
            statuses=self.status,
            service=self.service,
            sha256=self.sha256,
            since=self.since,
            until=self.until,
            reason=self.reason,
            signature=self.signature,
            type=self.type,
            name=self.name,
        )

    @property
    def filtered(self) -> bool:
        """Is it narrowed by what stands behind "Filters" alone? States can be chosen above the list too."""
        return any((self.service, self.reason, self.type, self.since, self.until))

    @property
    def exactly(self) -> list[tuple[str, str]]:
        """What it is narrowed to by links alone: no field of the form shows it."""
        pairs = [(name, getattr(self, name)) for name in ("name", "signature", "sha256")]
        ids = [("id", ", ".join(self.id))] if self.id else []
        return ids + [(name, value) for name, value in pairs if value is not None]

    def field(self, name: str) -> str:
        """A moment as a form's field of the type `datetime-local` holds it, in UTC."""
        moment: datetime | None = getattr(self, name)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M") if moment else ""

    def fields(self, **changes: Any) -> list[tuple[str, str]]:
        """Names and values as an address or a form holds them, with other values for some; None leaves one out."""
        pairs = []
        for name, value in (self.model_dump(mode="json", exclude_none=True) | changes).items():
            several: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, str(each)) for each in several if each is not None]
        return pairs

    def address(self, path: str = "/scans", **changes: Any) -> str:
        """A page of this list, or of another one."""
        query = urlencode(self.fields(**changes))
        return f"{path}?{query}" if query else path
