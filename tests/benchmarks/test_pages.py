"""The replay server's pages: whatever way leads to them, each row comes once and is the same."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from benchmarks.data.pages import FIRST_NUMBER, Pages
from benchmarks.replay.plan import Replay
from benchmarks.replay.server import PageAnswers

from contoso_sandbox.compression import GZIP_WINDOW
from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.faults import Asked

if TYPE_CHECKING:
    from collections.abc import Iterator

LEDGER = "GeneralJournalAccountEntryBiEntities"
ENVIRONMENT = contoso_environment()
ROWS, PAGE_ROWS, BLOCK_ROWS = 25, 10, 4


def pages_of(name: str, company: str | None = None, block_rows: int = BLOCK_ROWS) -> Pages:
    entity_set = ENVIRONMENT.entity_sets[name]
    return Pages(entity_set, ENVIRONMENT.enums, company=company, block_rows=block_rows)


def rows(pages: Pages, start: int, stop: int) -> list[dict[str, Any]]:
    decoded: list[dict[str, Any]] = json.loads(b"[%s]" % pages.rows(start, stop))
    return decoded


def test_a_row_is_the_same_wherever_a_page_begins() -> None:
    whole = rows(pages_of(LEDGER), 0, ROWS)
    again = pages_of(LEDGER)
    assert len({row["SourceKey"] for row in whole}) == ROWS
    for start in range(ROWS):
        assert rows(again, start, ROWS) == whole[start:]
        assert rows(again, start, start + 1) == whole[start : start + 1]


@pytest.mark.parametrize(
    ("name", "company", "columns", "row_bytes"),
    [(LEDGER, None, 26, 750), ("VendorsV2", "usmf", 290, 9_500)],
)
def test_rows_are_as_wide_as_those_of_a_real_environment(
    name: str, company: str | None, columns: int, row_bytes: int
) -> None:
    pages = pages_of(name, company, block_rows=50)
    assert {len(row) for row in rows(pages, 0, 50)} == {columns + 1}  # the etag
    assert len(pages.rows(0, 50)) / 50 == pytest.approx(row_bytes, rel=0.1)


class Server:
    """Asks for pages as over HTTP."""

    def __init__(self, *, ahead: bool = False) -> None:
        replay = Replay(LEDGER, ROWS, page_rows=PAGE_ROWS, block_rows=BLOCK_ROWS)
        self._answers = PageAnswers(replay, {"": pages_of(LEDGER)})
        if ahead:
            self._answers.pack_ahead("https://erp")

    def page(self, query: str) -> dict[str, Any]:
        asked = Asked("GET", f"/data/{LEDGER}", query, {"host": "erp"})
        body = zlib.decompress(self._answers.answer(asked).body, GZIP_WINDOW)
        document: dict[str, Any] = json.loads(body)
        return document

    def walk(self) -> Iterator[dict[str, Any]]:
        query = "cross-company=true"
        while query:
            page = self.page(query)
            yield page
            query = urlsplit(page.get("@odata.nextLink", "")).query


@pytest.mark.parametrize("ahead", [True, False])
def test_links_lead_past_every_row_once(*, ahead: bool) -> None:
    walked = [page["value"] for page in Server(ahead=ahead).walk()]
    assert [len(page) for page in walked] == [10, 10, 5]
    assert [row for page in walked for row in page] == rows(pages_of(LEDGER), 0, ROWS)


def test_rows_above_a_number_begin_behind_it() -> None:
    page = Server().page(f"$filter=SourceKey gt {FIRST_NUMBER + 9}")
    assert page["value"] == rows(pages_of(LEDGER), 10, 20)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("$count=true&$top=1", ROWS),
        (f"$count=true&$top=1&$filter=SourceKey le {FIRST_NUMBER + 6}", 7),
    ],
)
def test_a_count_is_of_all_rows_that_match(query: str, count: int) -> None:
    page = Server().page(query)
    assert page["@odata.count"] == count
    assert len(page["value"]) == 1
    assert "@odata.nextLink" not in page
