"""Filters, sorting and pages of lists: ``?filter=name:eq:GL&pageNumber=1&pageSize=100``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from contoso_sandbox.tableau.errors import bad_page, bad_page_size, bad_request
from contoso_sandbox.tableau.responses import Element
from contoso_sandbox.tableau.times import from_rest

Item = TypeVar("Item")
FieldValue = str | int | bool | datetime | tuple[str, ...] | None
#: Filterable fields of one resource: name in the query -> value of an item.
Fields = Mapping[str, Callable[[Item], FieldValue]]

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000

_EXPRESSION = re.compile(r"([A-Za-z]+):([a-z]+):(.*)", re.DOTALL)
_BETWEEN = re.compile(r",(?![^\[]*\])")  # commas, but not those of ``in:[a,b]``


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list and what ``<pagination/>`` tells of it."""

    number: int
    size: int
    total: int

    def element(self) -> Element:
        """The ``pagination`` element."""
        return Element(
            "pagination",
            {"pageNumber": self.number, "pageSize": self.size, "totalAvailable": self.total},
        )


def select(
    items: Sequence[Item], query: Mapping[str, str], fields: Fields[Item]
) -> tuple[list[Item], Page]:
    """Apply ``filter``, ``sort``, ``pageNumber`` and ``pageSize`` of a query string.

    Raises:
        RestError: 400006 or 400007 for the page, 400000 for a filter that cannot be read.
    """
    chosen = list(items)
    for expression in _split(query.get("filter", "")):
        chosen = [item for item in chosen if _holds(expression, item, fields)]
    for expression in reversed(_split(query.get("sort", ""))):
        name, _, direction = expression.partition(":")
        if name not in fields or direction not in ("asc", "desc"):
            detail = f"The sort expression '{expression}' is not valid."
            raise bad_request(detail)
        chosen.sort(key=lambda item: _order(fields[name](item)), reverse=direction == "desc")
    return _page(chosen, query)


def _page(items: list[Item], query: Mapping[str, str]) -> tuple[list[Item], Page]:
    size = _number(query.get("pageSize", str(DEFAULT_PAGE_SIZE)))
    if size is None or not 1 <= size <= MAX_PAGE_SIZE:
        detail = f"The page size must be within 1 and {MAX_PAGE_SIZE}."
        raise bad_page_size(detail)
    number = _number(query.get("pageNumber", "1"))
    last = max(1, -(-len(items) // size))
    if number is None or not 1 <= number <= last:
        detail = f"The page number must be within 1 and {last}."
        raise bad_page(detail)
    return items[(number - 1) * size : number * size], Page(number, size, len(items))


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def _split(text: str) -> list[str]:
    return [part for part in _BETWEEN.split(text) if part]


def _holds(expression: str, item: Item, fields: Fields[Item]) -> bool:
    match = _EXPRESSION.fullmatch(expression)
    if match is None or match[1] not in fields:
        detail = f"The filter expression '{expression}' is not valid."
        raise bad_request(detail)
    value = fields[match[1]](item)
    try:
        return _compare(match[2], value, match[3])
    except (ValueError, KeyError) as error:
        detail = f"The filter expression '{expression}' is not valid."
        raise bad_request(detail) from error


def _compare(operator: str, value: FieldValue, text: str) -> bool:
    if operator == "in":
        options = text.removeprefix("[").removesuffix("]").split(",")
        return any(_compare("eq", value, option) for option in options)
    if isinstance(value, tuple):
        return {"eq": text in value, "has": text in value}[operator]
    if operator == "has":
        return isinstance(value, str) and text.lower() in value.lower()
    if value is None:
        return False
    left, right = _order(value), _order(_like(value, text))
    return {
        "eq": left == right,
        "gt": left > right,
        "gte": left >= right,
        "lt": left < right,
        "lte": left <= right,
    }[operator]


def _like(value: FieldValue, text: str) -> FieldValue:
    """Read ``text`` as a value of the kind of ``value``."""
    if isinstance(value, bool):
        return {"true": True, "false": False}[text.lower()]
    if isinstance(value, int):
        return int(text)
    if isinstance(value, datetime):
        return from_rest(text)
    return text


def _order(value: FieldValue) -> tuple[float, str]:
    """A key that orders the values of one field, missing ones first."""
    if value is None:
        return (float("-inf"), "")
    if isinstance(value, datetime):
        return (value.timestamp(), "")
    if isinstance(value, int):
        return (value, "")
    return (0.0, ",".join(value) if isinstance(value, tuple) else value)
