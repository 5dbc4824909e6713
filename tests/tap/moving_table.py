"""A table behind a page reader, as F&O serves it: by position, over rows that may move."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tap_d365fo.reading.pages import Page, PageReader

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = "https://contoso.example"

_TERM = re.compile(r"(Modified|Key) (ge|gt|le|lt) ([^\s)]+)")

_COMPARE = {"ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt}


@dataclass
class MovingTable(PageReader):
    """Rows ``{"Key", "Modified", "@odata.etag"}``; ``before_page`` may change them between pages.

    Attributes:
        page_size: Rows on a page.
        before_page: Called with the ordinal of each request, before it is answered.
        repeat_edge: Let the last row of a page come again as the first of the next one.
    """

    page_size: int
    rows: list[dict[str, Any]] = field(default_factory=list)
    before_page: Callable[[int], None] = lambda _ordinal: None
    requests: list[str] = field(default_factory=list)
    repeat_edge: bool = False

    def put(self, key: int, modified: str, version: int = 1) -> None:
        """Insert a row or change it."""
        self.remove(key)
        self.rows.append({"Key": key, "Modified": modified, "@odata.etag": f'W/"{key}-{version}"'})

    def remove(self, key: int) -> None:
        """Delete a row."""
        self.rows = [row for row in self.rows if row["Key"] != key]

    def page(self, url: str) -> Page:
        """Answer one request."""
        self.before_page(len(self.requests))
        self.requests.append(url)
        options = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
        matching = self._matching(unquote(options.get("$filter", "")))
        if options.get("$orderby") == "Key":
            matching.sort(key=lambda row: int(row["Key"]))
        skip = int(options.get("$skip", 0))
        start = max(0, skip - 1) if self.repeat_edge else skip
        chosen = matching[start : skip + self.page_size]
        if "$top" in options:
            chosen = matching[: int(options["$top"])]
        more = skip + self.page_size < len(matching) and "$top" not in options
        following = re.sub(r"&\$skip=\d+", "", url) + f"&$skip={skip + self.page_size}"
        return Page(
            url=url,
            rows=list(chosen),
            count=len(matching) if "$count" in options and not skip else None,
            next_url=following if more else None,
            size_bytes=0,
            received_at=datetime(2026, 10, 1, tzinfo=UTC),
        )

    def _matching(self, condition: str) -> list[dict[str, Any]]:
        rows = self.rows
        for name, compare, text in _TERM.findall(condition):
            value = int(text) if name == "Key" else text
            rows = [row for row in rows if _COMPARE[compare](row[name], value)]
        return sorted(rows, key=lambda row: (row["Modified"], row["Key"]))
