"""Strategy ``full``: read every row of a partition, and notice when one may have been missed.

F&O pages by position over live data: a row that is deleted meanwhile shifts the ones behind it, and
one of them falls between two pages. Comparing the number of rows does not find that when another
row was inserted. So each page is begun a few rows early: it must hold the last row of the page
before, or the walk has lost its place and begins anew.

Paging by key has no such edge: each page begins behind the last key of the one before. It needs a
server whose ``gt`` and ``$orderby`` agree, which nobody promises; a walk by key that brings fewer
rows than the server counts, or gets no further, is repeated by position.

Fewer rows than were counted at the beginning are no loss where every page joined on and the server
has no more by the end: then rows were deleted ahead of the walk.
"""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from itertools import compress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.reading.keys import behind
from tap_d365fo.reading.pages import Trail, overlapping
from tap_d365fo.reading.rows import identities
from tap_d365fo.reading.seen import SeenRows

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tap_d365fo.reading.keys import KeyForm
    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query

#: Walks through a partition whose rows keep moving, before the run gives up.
_WALKS = 3

#: Rows that are read twice at a page edge.
_MOST_OVERLAP = 10

_logger = logging.getLogger("tap-d365fo.full")


def read_full(
    reader: PageReader,
    query: Query,
    environment_url: str,
    key: tuple[str, ...],
    *,
    by_key: KeyForm | None = None,
) -> Iterator[Page]:
    """All rows that match ``query``, page by page.

    Each row comes once, except where the walk must be repeated: then rows come again, which a
    target that upserts by key takes without harm.

    Args:
        reader: Fetches pages.
        query: Entity set, conditions and order by the whole key.
        environment_url: Where to ask.
        key: Key properties; empty for a keyless set.
        by_key: Page by key, as far as it can be said, instead of by the server's links.

    Yields:
        Pages without the rows that have come before; their lists are the caller's.

    Raises:
        TransientError: rows move faster than they can be read.
    """
    counted = replace(query, count=True)
    if not key:
        yield from _read_keyless(reader, query.entity_set, counted.url(environment_url))
        return
    for walk in range(1, _WALKS + 1):
        steps = _Steps(query, environment_url, by_key if walk == 1 else None)
        try:
            with closing(SeenRows()) as seen:
                expected = yield from _walk(reader, counted.url(environment_url), key, seen, steps)
                came = len(seen)
            if steps.joined and came < expected:
                expected = count_rows(reader, query, environment_url)
            if came < expected:
                reason = f"{came} of {expected} rows came"
                raise _LostPlaceError(reason)  # noqa: TRY301 - as the walk does
        except _LostPlaceError as lost:
            _logger.warning("%s: %s; walk %d of %d", query.entity_set, lost, walk, _WALKS)
        else:
            if steps.repeated:
                _logger.warning(
                    "%s: the server sent %d rows more than once; each is emitted once",
                    *(query.entity_set, steps.repeated),
                )
            return
    raise TransientError(_restless(query.entity_set))


def count_rows(reader: PageReader, query: Query, environment_url: str) -> int:
    """How many rows match ``query`` now.

    Raises:
        DataError: the server does not say.
    """
    asked = replace(query, select=query.order, expand=(), count=True, top=1)
    page = reader.page(asked.url(environment_url))
    if page.count is None:
        message = f"{query.entity_set}: the server does not say how many rows there are"
        raise DataError(message)
    return page.count


def is_short(
    reader: PageReader, whole: Query, rest: Query, environment_url: str, before: int
) -> bool:
    """Whether rows would come neither in ``before``, the number already read, nor in the ``rest``.

    So when the server left one out of a page, with a server whose ``gt`` and ``$orderby`` disagree,
    or when rows were added meanwhile. Whoever goes on behind them would never see them.
    """
    left = count_rows(reader, rest, environment_url)
    missing = count_rows(reader, whole, environment_url) - left - before
    if missing > 0:
        _logger.warning(
            "%s: the interrupted read lacks %d rows; it does not simply go on",
            *(whole.entity_set, missing),
        )
    return missing > 0


class _Steps:
    """Where the page after a page begins.

    Attributes:
        by_key: Pages begin behind a key.
        joined: Each page so far is known to follow the one before.
        repeated: Rows that came again although nobody asked for them.
    """

    def __init__(self, query: Query, environment_url: str, by_key: KeyForm | None) -> None:
        self._query = query
        self._environment_url = environment_url
        self.by_key = by_key
        self.joined = True
        self.repeated = 0

    def after(self, page: Page) -> tuple[str | None, int]:
        """Address of the next page, and how many rows of ``page`` it is to begin with."""
        if page.next_url is None:
            return None, 0
        if self.by_key is not None and page.rows:
            literals = self.by_key.literals(page.rows[-1])
            rest = behind(self._query, self.by_key, literals) if literals else None
            if rest is not None:
                return rest.url(self._environment_url), 0
        overlap = _overlap(len(page.rows))
        earlier = overlapping(page.next_url, overlap, current=page.url)
        if earlier == page.next_url:
            self.joined, overlap = False, 0
        return earlier, overlap


def _walk(
    reader: PageReader,
    url: str,
    key: tuple[str, ...],
    seen: SeenRows,
    steps: _Steps,
) -> Generator[Page, None, int]:
    """One walk; ``seen`` collects the rows by identity.

    Returns:
        How many rows there were when it began.
    """
    trail = Trail(urlsplit(url).path)
    following: str | None = url
    last: object = None
    expected: int | None = None
    overlap = 0
    while following is not None:
        if steps.by_key and trail.knows(following):
            reason = f"after {len(seen)} rows the walk by key leads back"
            raise _LostPlaceError(reason)
        trail.enter(following)
        page = reader.page(following)
        if expected is None:  # a later count knows nothing of a row that slipped by and is gone
            expected = page.count
        known = identities(page.rows, key)
        if overlap and known and last not in known:
            reason = f"after {len(seen)} rows the next page does not join on"
            raise _LostPlaceError(reason)
        fresh = seen.fresh(known)
        new_rows = sum(fresh)
        if steps.by_key and known and not new_rows:
            reason = f"after {len(seen)} rows the walk by key gets no further"
            raise _LostPlaceError(reason)
        steps.repeated += max(0, len(known) - new_rows - overlap)
        trail.leave(new_rows)
        following, overlap = steps.after(page)
        last = known[-1] if known else None
        page.rows[:] = compress(page.rows, fresh)
        yield replace(page, walked=len(seen))
    return expected or 0


def _overlap(rows: int) -> int:
    """How many rows to read twice at a page edge: so many may vanish before it without harm."""
    return max(1, min(_MOST_OVERLAP, rows // 10)) if rows > 1 else 0


def _read_keyless(reader: PageReader, entity_set: str, url: str) -> Iterator[Page]:
    """Rows that cannot be told apart: read once, and only their number can be checked."""
    rows = expected = 0
    for page in reader.walk(url):
        expected = page.count if page.count is not None else expected
        rows += len(page.rows)
        yield replace(page, walked=rows)
    if rows < expected:
        raise TransientError(_restless(entity_set))


def _restless(entity_set: str) -> str:
    return f"{entity_set}: rows move faster than they can be read; run again at a calmer hour"


class _LostPlaceError(Exception):
    """Rows moved between two pages of a walk."""
