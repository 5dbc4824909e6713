"""Documents that are valid JSON and say something else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from contoso_sandbox.faults.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.faults.request import Answer, Asked

    Row = dict[str, Any]
    Document = dict[str, Any]

#: Private-use mark around a number that ``json`` cannot write.
_MARK = "\ue000"
_MARKED = re.compile(f'"{_MARK}([^"]*){_MARK}"')
LINK = "@odata.nextLink"


def document(change: Callable[[Document, Asked], Document | None], name: str) -> Action:
    """Rewrite the parsed document; what ``change`` leaves alone keeps its digits.

    Args:
        change: Gets the document (numbers with a point as ``Decimal``) and the request; changes it
            in place or returns another.
        name: For the log.
    """

    def changed(real: Answer, asked: Asked) -> Answer:
        parsed = json.loads(real.body, parse_float=Decimal)
        return replace(real, body=_written(change(parsed, asked) or parsed))

    return Action(name, change=changed)


def rows(change: Callable[[list[Row]], list[Row]], name: str) -> Action:
    """Replace the rows of a page."""

    def changed(page: Document, _asked: Asked) -> None:
        page["value"] = change(page["value"])

    return document(changed, name)


def each_row(change: Callable[[Row], object], name: str) -> Action:
    """Change every row of a page in place."""

    def changed(page: Document, _asked: Asked) -> None:
        for row in page["value"]:
            change(row)

    return document(changed, name)


def no_value() -> Action:
    """Leave ``value`` out."""

    def changed(page: Document, _asked: Asked) -> None:
        del page["value"]

    return document(changed, "no value")


def empty_page_with_link() -> Action:
    """Send no rows and a link to this very page, differently spelled.

    No row is lost to a client that goes on.
    """

    def changed(page: Document, asked: Asked) -> None:
        separator = "&" if asked.query else "?"
        page.update({"value": [], LINK: f"{asked.url}{separator}after=empty"})

    return document(changed, "empty page with nextLink")


def repeated_at_the_edge() -> Action:
    """Begin each page with the row that ended the page before it."""
    last: dict[str | None, Row] = {}

    def changed(page: Document, asked: Asked) -> None:
        if not asked.starts_a_walk and asked.entity_set in last:
            page["value"].insert(0, last[asked.entity_set])
        if page["value"]:
            last[asked.entity_set] = page["value"][-1]

    return document(changed, "row repeated at a page edge")


def repeated_row(index: int = -1) -> Action:
    """Send one row of the page twice in a row."""
    return rows(lambda page: [*page, page[index]], "repeated row")


def reversed_rows() -> Action:
    """Send the page's rows in the opposite order."""
    return rows(lambda page: page[::-1], "reversed rows")


def dropped_row(index: int = -1) -> Action:
    """Leave one row of the page out."""

    def without(page: list[Row]) -> list[Row]:
        del page[index]
        return page

    return rows(without, "dropped row")


def counted_as(count: int | Callable[[int], int]) -> Action:
    """Claim another ``@odata.count`` (or, on ``/$count``, another number)."""

    def other(real: int) -> int:
        return count if isinstance(count, int) else count(real)

    def changed(real: Answer, _asked: Asked) -> Answer:
        parsed = json.loads(real.body, parse_float=Decimal)
        if isinstance(parsed, int):
            return replace(real, body=str(other(parsed)).encode())
        if "@odata.count" in parsed:
            parsed["@odata.count"] = other(parsed["@odata.count"])
        return replace(real, body=_written(parsed))

    return Action("wrong count", change=changed)


def dropped_column(name: str) -> Action:
    """Leave a property out of every row."""
    return each_row(lambda row: row.pop(name, None), f"without {name}")


def added_column(name: str, value: object) -> Action:
    """Give every row a property that the metadata does not know."""
    return each_row(lambda row: row.update({name: value}), f"with {name}")


def renamed_column(name: str, new_name: str) -> Action:
    """Send a property under another name."""
    return each_row(lambda row: row.update({new_name: row.pop(name)}), f"{name} renamed")


def changed_value(name: str, change: object, *, index: int | None = None) -> Action:
    """Send another value for a property: a constant, or a function of the real one.

    Types may change, keys may become null.

    Args:
        name: The property.
        change: The value, or a callable.
        index: Only in this row of the page; in all if absent.
    """

    def changed(page: Document, _asked: Asked) -> None:
        struck = page["value"] if index is None else [page["value"][index]]
        for row in struck:
            row[name] = change(row.get(name)) if callable(change) else change

    return document(changed, f"changed {name}")


def _written(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_marked)
    # A lone surrogate has no UTF-8; its escape is JSON's own spelling of it.
    return _MARKED.sub(r"\1", text).encode(errors="backslashreplace")


def _marked(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value:f}{_MARK}"
    message = f"{type(value).__name__} is no JSON value"
    raise TypeError(message)
