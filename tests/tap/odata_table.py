"""A table behind a page reader that answers the requests the tap writes, as F&O answers them.

It parses ``$filter`` with the sandbox's parser and evaluates it in the way of F&O's database:
strings without regard to case, ``*`` in ``eq`` as a wildcard, ``gt`` in the order of ``$orderby``.
Rows may move between two pages, and a server that disagrees with itself can be played.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from contoso_sandbox.d365.filters.nodes import (
    Binary,
    Chain,
    EnumLiteral,
    Literal,
    Name,
    Node,
)
from contoso_sandbox.d365.filters.parser import parse_filter
from tap_d365fo.reading.pages import Page, PageReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.access.document import ReadRows
    from tap_d365fo.reading.typed_rows import Row

HOME = "https://contoso.example"

#: What IIS takes by default.
LONGEST_QUERY = 2048

RECEIVED_AT = datetime(2026, 10, 1, tzinfo=UTC)

_encode = msgspec.json.Encoder(decimal_format="number").encode

_SKIP = re.compile(r"&\$skip=\d+")


@dataclass
class ODataTable(PageReader):
    """Rows of one entity set.

    Attributes:
        key: Key properties; no two rows have equal keys, case aside.
        page_size: Rows on a page.
        before_page: Called with the ordinal of each request, before it is answered.
        gt_by_code: Let ``gt`` compare strings by code point, unlike ``$orderby``.
        asked: Query strings so far.
        received: Rows that travelled.
        read_rows: Reads every second page, as far as it does not decline.
    """

    key: tuple[str, ...]
    page_size: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    before_page: Callable[[int], None] = lambda _ordinal: None
    gt_by_code: bool = False
    asked: list[str] = field(default_factory=list)
    received: int = 0
    read_rows: ReadRows | None = None
    _changes: int = 0

    def reading(self, read_rows: ReadRows) -> ODataTable:
        """The same table; rows come both ways in one walk."""
        self.read_rows = read_rows
        return self

    def insert(self, row: dict[str, Any]) -> bool:
        """Add ``row`` unless its key is taken."""
        if any(self._same(row, other) for other in self.rows):
            return False
        self.rows.append(row)
        self.touch(row)
        return True

    def touch(self, row: dict[str, Any]) -> None:
        """Change a row: its etag is never one that it had before."""
        self._changes += 1
        row["@odata.etag"] = f'W/"{self._changes}"'

    def by_key(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        """All rows by the key as a record has it: exact, but for the company's case."""
        return {self.exact_key(row): dict(row) for row in self.rows}

    def exact_key(self, row: Row) -> tuple[Any, ...]:
        """The key of ``row``."""
        return tuple(row[n].lower() if n == "dataAreaId" else row[n] for n in self.key)

    def page(self, url: str) -> Page:
        """Answer one request."""
        query = urlsplit(url).query
        assert len(query) <= LONGEST_QUERY, query
        self.before_page(len(self.asked))
        self.asked.append(query)
        options = dict(parse_qsl(query.replace("+", "%2B")))
        assert options["cross-company"] == "true"
        matching = self._matching(options.get("$filter"))
        order = [name for name in options.get("$orderby", "").split(",") if name]
        matching.sort(key=lambda row: [_sortable(row[name]) for name in order])
        skip, top = int(options.get("$skip", 0)), options.get("$top")
        chosen = matching[skip : skip + min(self.page_size, int(top or self.page_size))]
        more = top is None and skip + self.page_size < len(matching)
        following = _SKIP.sub("", url) + f"&$skip={skip + self.page_size}"
        self.received += len(chosen)
        columns = options.get("$select")
        wanted = {"@odata.etag", *columns.split(",")} if columns else None
        rows: list[Row] = [
            {k: v for k, v in r.items() if wanted is None or k in wanted} for r in chosen
        ]
        return Page(
            url=url,
            rows=self._read(rows),
            count=len(matching) if "$count" in options else None,
            next_url=following if more else None,
            size_bytes=100 * len(chosen),
            received_at=RECEIVED_AT,
        )

    def _read(self, rows: list[Row]) -> list[Row]:
        if self.read_rows is None or len(self.asked) % 2:
            return rows
        document = self.read_rows(_encode({"value": rows}))
        return rows if document is None else list(document["value"])

    def _same(self, one: dict[str, Any], other: dict[str, Any]) -> bool:
        return all(_sortable(one[name]) == _sortable(other[name]) for name in self.key)

    def _matching(self, condition: str | None) -> list[dict[str, Any]]:
        if condition is None:
            return list(self.rows)
        tree = parse_filter(condition)
        return [row for row in self.rows if self._holds(tree, row)]

    def _holds(self, node: Node, row: dict[str, Any]) -> bool:
        match node:
            case Chain("and", operands):
                return all(self._holds(operand, row) for operand in operands)
            case Chain("or", operands):
                return any(self._holds(operand, row) for operand in operands)
            case Binary(name, Name(column), Literal() | EnumLiteral() as literal):
                return self._compare(name, row[column], literal)
            case _:
                raise AssertionError(node)

    def _compare(self, name: str, value: object, literal: Literal | EnumLiteral) -> bool:
        if isinstance(literal, EnumLiteral):
            assert name == "eq", "an enum is only equal or not"
            return value == literal.member
        wanted: Any = literal.value
        if isinstance(wanted, datetime):
            wanted = wanted.strftime("%Y-%m-%dT%H:%M:%SZ")
        elif not isinstance(wanted, str | int | Decimal):
            wanted = str(wanted)
        if value is None:
            return False
        if name == "eq":
            if isinstance(wanted, str) and "*" in wanted:
                pattern = ".*".join(re.escape(part) for part in wanted.lower().split("*"))
                return re.fullmatch(pattern, str(value).lower(), re.DOTALL) is not None
            return _sortable(value) == _sortable(wanted)
        if self.gt_by_code:
            return _greater(name, str(value), str(wanted))
        return _greater(name, _sortable(value), _sortable(wanted))


def _greater(name: str, value: Any, wanted: Any) -> bool:  # noqa: ANN401 - two of one type
    return bool({"gt": value > wanted, "ge": value >= wanted, "lt": value < wanted}[name])


def _sortable(value: object) -> tuple[int, Any]:
    """A collation without case; nothing sorts before something."""
    if value is None:
        return (0, "")
    return (1, value.lower() if isinstance(value, str) else value)
