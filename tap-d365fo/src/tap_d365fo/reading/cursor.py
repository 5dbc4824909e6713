"""Strategy ``cursor``: read what changed since the bookmark, in the order of change.

Positions are useless here: a row that changes during the walk leaves its place, everything behind
it moves up, and the row that slips over a page edge would be lost for good, because the bookmark
has passed it. So each page starts at the last time that the page before reached (``ge``, not
``gt``: equal times are common, they have whole seconds), and rows that come again are dropped by
key and etag.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.reading.pages import Trail, overlapping
from tap_d365fo.reading.query import instant_literal
from tap_d365fo.reading.rows import ETAG, identify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query


#: How often an instant that fills whole pages is begun again because its rows moved.
_RESTARTS = 3


def read_since(
    reader: PageReader,
    query: Query,
    environment_url: str,
    key: tuple[str, ...],
    *,
    cursor: str,
    since: datetime | None,
    until: datetime,
    window: timedelta | None = None,
) -> Iterator[tuple[Page, datetime]]:
    """Rows with ``since <= cursor < until``, page by page, each with the bookmark it earns.

    Args:
        reader: Fetches pages.
        query: Entity set, company, selection and order by cursor and key.
        environment_url: Where to ask.
        key: Key properties.
        cursor: Property that is compared and ordered by.
        since: Where to begin; None reads from the first row.
        until: Instant at which the run began: what changes later belongs to the next run, so that
            the walk has an end and the bookmark never passes a row that was still moving.
        window: Ask for no longer span at a time.

    Yields:
        Pages without the rows that have come before, and the time up to which everything has
        been read.

    Raises:
        DataError: a row carries no readable time, or rows come out of order.
        TransientError: rows of one instant move faster than they can be read.
    """
    if window is None:
        yield from _read_span(
            reader, query, environment_url, key, cursor=cursor, since=since, until=until
        )
        return
    begin = since or _earliest(reader, query, environment_url, cursor)
    while begin is not None and begin < until:
        end = begin + window if until - begin > window else until
        came = False
        for item in _read_span(
            reader, query, environment_url, key, cursor=cursor, since=begin, until=end
        ):
            came = True
            yield item
        # A row that was stamped in 1900 must not cost a request for every window since.
        begin = end if came else _earliest(reader, query, environment_url, cursor, since=end)


def _earliest(
    reader: PageReader,
    query: Query,
    environment_url: str,
    cursor: str,
    *,
    since: datetime | None = None,
) -> datetime | None:
    """When the first row (from ``since`` on) was changed; None where there is no row."""
    query = _from(query, cursor, since)
    first = replace(query, order=(cursor,), select=(cursor,), expand=(), top=1)
    rows = reader.page(first.url(environment_url)).rows
    return _instant(rows[0], cursor, query.entity_set) if rows else None


def _read_span(
    reader: PageReader,
    query: Query,
    environment_url: str,
    key: tuple[str, ...],
    *,
    cursor: str,
    since: datetime | None,
    until: datetime,
) -> Iterator[tuple[Page, datetime]]:
    capped = query.where(f"{cursor} lt {instant_literal(until)}")
    identity = identify(key)
    at_edge: set[tuple[object, object]] = set()
    reached = since
    trail = Trail(query.entity_set)
    join: tuple[object, object] | None = None  # what the next page must hold to join on
    restarts = 0
    following: str | None = _from(capped, cursor, reached).url(environment_url)
    while following is not None:
        trail.enter(following)
        page = reader.page(following)
        times = [_instant(row, cursor, query.entity_set) for row in page.rows]
        if any(later < earlier for earlier, later in pairwise(times)):
            message = (
                f"{query.entity_set} does not come in the order of {cursor}; it cannot be a cursor"
            )
            raise DataError(message)
        marks: list[tuple[object, object]] = [(identity(row), row.get(ETAG)) for row in page.rows]
        if join is not None and marks and join not in marks:
            # Rows of the instant moved. What has come is known, so the instant can begin again.
            restarts += 1
            if restarts > _RESTARTS:
                message = f"{query.entity_set}: rows move faster than they can be read"
                raise TransientError(message)
            trail.turn_back()
            following, join = _from(capped, cursor, reached).url(environment_url), None
            continue
        here = dict(zip(marks, page.rows, strict=True))  # a row that comes twice counts once
        fresh = [row for mark, row in here.items() if mark not in at_edge]
        trail.leave(len(fresh))
        if times:
            last = times[-1]
            # Only rows at the edge can come again: the next page starts at their time.
            edge = {mark for mark, time in zip(marks, times, strict=True) if time == last}
            at_edge = at_edge | edge if reached == last else edge
            moved = reached is None or last > reached
            reached = last
            yield replace(page, rows=fresh), last
        else:
            moved = False
        if page.next_url is None:
            return
        # A whole page of one instant cannot be stepped over by time: then position is all there is.
        if moved and times[0] != reached:
            following, join = _from(capped, cursor, reached).url(environment_url), None
        else:
            following = overlapping(page.next_url, 1, current=page.url)
            join = marks[-1] if marks and following != page.next_url else None


def start_of_window(
    bookmark: datetime | None, *, lookback: timedelta, start_date: datetime | None
) -> datetime | None:
    """Where reading begins: the bookmark less the look-back, but not before ``start_date``.

    The look-back re-reads what became visible late: F&O stamps the time of the statement, while a
    long transaction commits minutes later.
    """
    since = bookmark - lookback if bookmark is not None else None
    if start_date is None or (since is not None and since > start_date):
        return since
    return start_date


def _from(query: Query, cursor: str, since: datetime | None) -> Query:
    return query if since is None else query.where(f"{cursor} ge {instant_literal(since)}")


def _instant(row: dict[str, Any], cursor: str, entity_set: str) -> datetime:
    """When the row was changed, to the second: no finer can be asked for."""
    try:
        return datetime.fromisoformat(row[cursor]).astimezone(UTC).replace(microsecond=0)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{entity_set}: a row has no readable {cursor}; it cannot be a cursor"
        raise DataError(message) from error
