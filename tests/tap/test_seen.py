"""What has come already is known exactly, in memory that does not grow with it."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tap.moving_table import HOME

from tap_d365fo.reading import seen as seen_rows
from tap_d365fo.reading.full import read_full
from tap_d365fo.reading.pages import Page, PageReader
from tap_d365fo.reading.query import Query
from tap_d365fo.reading.seen import SeenRows
from tap_d365fo.reading.snapshots import Remembered, SnapshotFolder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PARTS = st.one_of(st.text(max_size=2), st.integers(0, 3), st.none())
NUMBERS = st.integers(0, 40) | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1])
KEYS = st.lists(st.tuples(PARTS, st.integers(0, 2)) | st.tuples(NUMBERS), max_size=30)


@given(st.lists(KEYS, max_size=5), st.integers(0, 12))
@settings(max_examples=50, deadline=None)
def test_it_answers_as_a_set_would(pages: list[list[tuple[object, ...]]], most: int) -> None:
    """Before, while and after the keys move to disk."""
    known: set[tuple[object, ...]] = set()
    with closing(SeenRows(most_in_memory=most)) as seen:
        for page in pages:
            for key, fresh in zip(page, seen.fresh(page), strict=True):
                assert fresh is (key not in known)
                known.add(key)
            assert len(seen) == len(known)


def test_decimals_are_keys_as_well() -> None:
    keys = [(Decimal("1.10"),), (Decimal("-1.10"),)]
    with closing(SeenRows(most_in_memory=0)) as seen:
        assert seen.fresh(keys) == [True, True]
        assert seen.fresh(keys) == [False, False]


class Endless(PageReader):
    """A table of ``rows`` rows with a key of three parts; they are made when asked for."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def page(self, url: str) -> Page:
        """Answer one request."""
        skip = int(url.partition("$skip=")[2] or 0)
        last = min(skip + 1000, self._rows)
        return Page(
            url=url,
            rows=[
                {"A": "usmf", "B": f"PO-{n // 10:08}", "C": n, "@odata.etag": f'W/"{n}"'}
                for n in range(skip, last)
            ],
            count=self._rows,
            next_url=f"{HOME}/data/T?$skip={last}" if last < self._rows else None,
            size_bytes=0,
            received_at=datetime(2026, 10, 1, tzinfo=UTC),
        )


def peak_of_a_walk(rows: int) -> int:
    """Most bytes that Python held while it read everything."""
    query = Query("T", order=("A", "B", "C"))
    tracemalloc.start()
    came = sum(len(page.rows) for page in read_full(Endless(rows), query, HOME, query.order))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert came == rows
    return peak


def test_a_walk_takes_no_more_memory_for_more_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_rows.SeenRows.__init__, "__kwdefaults__", {"most_in_memory": 3000})
    peak_of_a_walk(4000)
    few, many = peak_of_a_walk(6000), peak_of_a_walk(20_000)
    assert many < few * 1.2


def test_a_snapshot_is_read_piece_by_piece(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    file = folder.begin()
    for part in range(40):
        link = file.append(
            Remembered(b'["%d"]' % (hash((part, n)) & 0xFFFFFFFF), f"e{n}") for n in range(1000)
        )
    file.append([Remembered(b'["later"]', "e")])
    tracemalloc.start()
    assert sum(1 for _ in folder.read([link])) == 40_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < link.length
