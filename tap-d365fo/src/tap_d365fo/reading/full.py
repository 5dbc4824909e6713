"""Strategy ``full``: read every row of a partition, and notice when one may have been missed.

F&O pages by position over live data: a row that is deleted meanwhile shifts the ones behind it, and
one of them falls between two pages. Comparing the number of rows does not find that when another
row was inserted. So each page is begun a few rows early: it must hold the last row of the page
before, or the walk has lost its place and begins anew.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.reading.pages import overlapping
from tap_d365fo.reading.rows import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from tap_d365fo.reading.pages import PageReader
    from tap_d365fo.reading.query import Query

#: Walks through a partition whose rows keep moving, before the run gives up.
_WALKS = 3

#: Rows that are read twice at a page edge.
_MOST_OVERLAP = 10

_logger = logging.getLogger("tap-d365fo.full")


def read_full(
    reader: PageReader, query: Query, environment_url: str, key: tuple[str, ...]
) -> Iterator[list[dict[str, Any]]]:
    """All rows that match ``query``, page by page.

    Each row comes once, except where the walk must be repeated: then rows come again, which a
    target that upserts by key takes without harm.

    Raises:
        TransientError: rows move faster than they can be read.
    """
    url = replace(query, count=True).url(environment_url)
    if not key:
        yield from _read_keyless(reader, query.entity_set, url)
        return
    for walk in range(1, _WALKS + 1):
        seen: set[object] = set()
        try:
            yield from _walk(reader, url, identify(key), seen)
        except _LostPlaceError as lost:
            _logger.warning("%s: %s; walk %d of %d", query.entity_set, lost, walk, _WALKS)
        else:
            return
    raise TransientError(_restless(query.entity_set))


def _walk(
    reader: PageReader, url: str, identity: Callable[[dict[str, Any]], object], seen: set[object]
) -> Iterator[list[dict[str, Any]]]:
    """One walk; ``seen`` collects the rows by identity."""
    visited: set[str] = set()
    following: str | None = url
    last: object = None
    expected = 0
    while following is not None:
        if following in visited:
            message = f"{urlsplit(url).path}: the nextLink leads back to a page already read"
            raise DataError(message)
        visited.add(following)
        page = reader.page(following)
        expected = page.count if page.count is not None else expected
        known = [identity(row) for row in page.rows]
        if last is not None and known and last not in known:
            reason = f"after {len(seen)} rows the next page does not join on"
            raise _LostPlaceError(reason)
        yield [row for row, mark in zip(page.rows, known, strict=True) if mark not in seen]
        seen.update(known)
        following, last = page.next_url, None
        overlap = _overlap(len(known))
        if following is not None and overlap:
            earlier = overlapping(following, overlap, current=page.url)
            last = known[-1] if earlier != following else None
            following = earlier
    if len(seen) < expected:
        reason = f"{len(seen)} of {expected} rows came"
        raise _LostPlaceError(reason)


def _overlap(rows: int) -> int:
    """How many rows to read twice at a page edge: so many may vanish before it without harm."""
    return max(1, min(_MOST_OVERLAP, rows // 10)) if rows > 1 else 0


def _read_keyless(reader: PageReader, entity_set: str, url: str) -> Iterator[list[dict[str, Any]]]:
    """Rows that cannot be told apart: read once, and only their number can be checked."""
    rows = expected = 0
    for page in reader.walk(url):
        expected = page.count if page.count is not None else expected
        rows += len(page.rows)
        yield page.rows
    if rows < expected:
        raise TransientError(_restless(entity_set))


def _restless(entity_set: str) -> str:
    return f"{entity_set}: rows move faster than they can be read; run again at a calmer hour"


class _LostPlaceError(Exception):
    """Rows moved between two pages of a walk."""
