"""Find a row in the archived pages of a run, as the server sent it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_d365fo.access.archive import Entry
    from tap_d365fo.access.replay import ReplayedPages


class _Page(msgspec.Struct):
    """An answer, its values left as they are written."""

    value: list[dict[str, msgspec.Raw]] = []


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it was received.

    Attributes:
        entry: The page.
        values: JSON text of each property, every digit and blank as it came.
    """

    entry: Entry
    values: dict[str, str]


def find_raw_row(
    pages: ReplayedPages, entity_set: str, key: Mapping[str, str], *, column: str | None = None
) -> RawRow | None:
    """The last page of an entity set that has the row, and ``column`` of it where one is named.

    Pages that were asked for keys alone do not count then.

    Args:
        pages: The archived run.
        entity_set: What was read.
        key: Text of each key property; case does not count, as in F&O's own database.
        column: A property that the page must have.

    Raises:
        IntegrityError: a page is missing or was changed.
    """
    for entry, body in pages.pages_of(entity_set):
        try:
            page = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=_Page)
        except msgspec.DecodeError:  # a count, or a single document
            continue
        for row in page.value:
            if column is not None and column not in row:
                continue
            if all(name in row and _is(bytes(row[name]), text) for name, text in key.items()):
                return RawRow(entry, {name: bytes(raw).decode() for name, raw in row.items()})
    return None


def _same_instant(one: str, other: str) -> bool:
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return False


def _is(raw: bytes, text: str) -> bool:
    """Whether a JSON value is the one that ``text`` names."""
    value = json.loads(raw, parse_float=Decimal)
    if isinstance(value, str):
        # F&O sends a date as noon of that day.
        same = value.lower() == text.lower() or value.partition("T")[0] == text
        return same or _same_instant(value, text)
    if isinstance(value, bool) or value is None:
        return str(value).lower() == text.lower()
    try:
        return bool(Decimal(value) == Decimal(text))
    except InvalidOperation:
        return False
