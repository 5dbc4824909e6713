"""Strategy ``cursor``: read what changed since the bookmark, in the order of change."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tap_d365fo.reading.span import begun_at, instant_of, read_span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query


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
        TransientError: rows move faster than they can be read, or some are kept back.
    """
    read = partial(read_span, reader, query, environment_url, key, cursor=cursor)
    if window is None:
        yield from read(since=since, until=until)
        return
    begin = since or _earliest(reader, query, environment_url, cursor)
    while begin is not None and begin < until:
        end = begin + window if until - begin > window else until
        came = False
        for page, reached in read(since=begin, until=end):
            came = True
            yield replace(page, count=None), reached  # how much is left, a window cannot say
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
    query = begun_at(query, cursor, since)
    first = replace(query, order=(cursor,), select=(cursor,), expand=(), top=1)
    rows = reader.page(first.url(environment_url)).rows
    return instant_of(rows[0], cursor, query.entity_set) if rows else None


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
