"""Walk through the rows that changed within a span of time, in the order of change.

Positions are useless here: a row that changes during the walk leaves its place, everything behind
it moves up, and the row that slips over a page edge would be lost for good, because the bookmark
has passed it. So each page starts at the last time that the page before reached (``ge``, not
``gt``: equal times are common, they have whole seconds), and rows that come again are dropped by
key and etag.

Each such request is a *leg*. It asks for the number of rows from its beginning on, so that a row
which a page left out is noticed: the number must be that of the rows which the leg has passed, plus
that which the next leg tells. A page is handed over, and the bookmark with it, only after that.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from pipeline_core.errors import DataError, TransientError
from tap_d365fo.reading.full import count_rows
from tap_d365fo.reading.pages import Trail, overlapping
from tap_d365fo.reading.query import instant_literal
from tap_d365fo.reading.rows import identities
from tap_d365fo.reading.typed_rows import ETAG, column

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query
    from tap_d365fo.reading.typed_rows import Row

    #: A row as it was: key and etag.
    Mark: TypeAlias = tuple[object, object]

#: How often a leg is begun again because its rows moved or did not all come.
_RESTARTS = 3

_logger = logging.getLogger("tap-d365fo.cursor")


def read_span(
    reader: PageReader,
    query: Query,
    environment_url: str,
    key: tuple[str, ...],
    *,
    cursor: str,
    since: datetime | None,
    until: datetime,
) -> Iterator[tuple[Page, datetime]]:
    """Rows with ``since <= cursor < until``; see :func:`tap_d365fo.reading.cursor.read_since`."""
    capped = query.where(f"{cursor} lt {instant_literal(until)}")
    return _Span(reader, capped, environment_url, key, cursor=cursor, since=since).pages()


def begun_at(query: Query, cursor: str, since: datetime | None) -> Query:
    """``query`` for rows from an instant on; None leaves it as it is."""
    return query if since is None else query.where(f"{cursor} ge {instant_literal(since)}")


def instant_of(row: Row, cursor: str, entity_set: str) -> datetime:
    """When the row was changed, to the second: no finer can be asked for."""
    try:
        return datetime.fromisoformat(row[cursor]).astimezone(UTC).replace(microsecond=0)
    except (KeyError, TypeError, ValueError) as error:
        message = f"{entity_set}: a row has no readable {cursor}; it cannot be a cursor"
        raise DataError(message) from error


@dataclass(slots=True)
class _Leg:
    """The pages of one request.

    Attributes:
        begin: From when on; None for the very first row.
        reached: Time of the last row that was handed over.
        known: Rows of that time that were handed over.
        expected: Rows from there to the end of the span, as its first page told.
        times: What has come of it, by identity.
    """

    begin: datetime | None
    reached: datetime | None
    known: set[Mark] = field(default_factory=set)
    expected: int | None = None
    times: dict[object, datetime] = field(default_factory=dict)

    def passed(self, reached: datetime) -> int:
        """Rows before ``reached``."""
        return sum(time < reached for time in self.times.values())


@dataclass(slots=True)
class _Held:
    """The page that ended a leg, until the next leg proves that nothing was left out."""

    leg: _Leg
    page: Page
    reached: datetime


class _Span:
    """One walk."""

    def __init__(
        self,
        reader: PageReader,
        query: Query,
        environment_url: str,
        key: tuple[str, ...],
        *,
        cursor: str,
        since: datetime | None,
    ) -> None:
        self._reader = reader
        self._query = query
        self._environment_url = environment_url
        self._cursor = cursor
        self._key = key
        self._trail = Trail(query.entity_set)
        self._restarts = 0
        self._leg = _Leg(since, since)
        self._held: _Held | None = None
        #: The row that the next page must hold to join on, where one is known.
        self._join: Mark | None = None

    def pages(self) -> Iterator[tuple[Page, datetime]]:
        following: str | None = self._url(self._leg.begin)
        while following is not None:
            self._trail.enter(following)
            page = self._reader.page(following)
            if not self._leg.times and self._leg.expected is None:
                self._leg.expected = page.count
                if (held := self._held) is not None:
                    self._held = None
                    if self._left_out(held.leg, held.reached, page.count or 0):
                        following = self._begin_again(held.leg.begin, held.leg.known)
                        continue
                    yield held.page, held.reached
            following = yield from self._take(page)

    def _take(self, page: Page) -> Generator[tuple[Page, datetime], None, str | None]:
        """Hand over a page of the leg, or hold it back.

        Returns:
            Where to go on.
        """
        leg, reached = self._leg, self._leg.reached
        times = [instant_of(row, self._cursor, self._query.entity_set) for row in page.rows]
        self._check_order(times)
        known = identities(page.rows, self._key)
        marks = list(zip(known, column(page.rows, ETAG), strict=True))
        if self._join is not None and marks and self._join not in marks:
            # Rows of the instant moved. What has come is known, so the instant can begin again.
            return self._begin_again(reached, leg.known)
        is_first = not leg.times
        here = dict(zip(marks, page.rows, strict=True))  # a row that comes twice counts once
        page.rows[:] = [row for mark, row in here.items() if mark not in leg.known]
        del here  # rows are let go of as they are sent
        self._trail.leave(len(page.rows))
        leg.times.update((mark[0], time) for mark, time in zip(marks, times, strict=True))
        if page.next_url is None and self._left_out(leg, None, 0):
            return self._begin_again(leg.begin, leg.known)
        if not times or page.next_url is None:
            self._join = None
            if times:
                yield page, times[-1]
            return page.next_url
        last = times[-1]
        moved = reached is None or last > reached
        # Only rows at the edge can come again: the next leg starts at their time.
        edge = {mark for mark, time in zip(marks, times, strict=True) if time == last}
        # A whole page of one instant cannot be stepped over by time: position is all there is.
        by_position = not moved or (is_first and times[0] == last)
        if not by_position:
            self._held = _Held(leg, page, last)
            return self._start(last, edge)
        if moved and self._left_out(leg, last, 0):
            return self._begin_again(leg.begin, leg.known)
        leg.known, leg.reached = (edge if moved else leg.known | edge), last
        yield page, last
        following = overlapping(page.next_url, 1, current=page.url)
        self._join = marks[-1] if following != page.next_url else None
        return following

    def _left_out(self, leg: _Leg, reached: datetime | None, rest: int) -> bool:
        """Whether a row of ``leg`` before ``reached`` (None: to the end) is there and did not come.

        Args:
            leg: What was read.
            reached: Where the next leg begins.
            rest: How many rows that one has, as far as it is known.
        """
        came = len(leg.times) if reached is None else leg.passed(reached)
        if leg.expected is None or leg.expected <= came + rest:
            return False  # nothing is missing, or this server does not count
        # Rows that changed meanwhile have left the span, and the number with them: ask anew.
        query = begun_at(self._query, self._cursor, leg.begin)
        if reached is not None:
            query = query.where(f"{self._cursor} lt {instant_literal(reached)}")
        there = count_rows(self._reader, query, self._environment_url)
        if there > came:
            _logger.warning(
                "%s: the server counts %d rows and showed %d; they are read again",
                *(self._query.entity_set, there, came),
            )
        return there > came

    def _begin_again(self, begin: datetime | None, known: set[Mark]) -> str:
        """Read a leg, or the rest of one, anew."""
        self._restarts += 1
        if self._restarts > _RESTARTS:
            message = (
                f"{self._query.entity_set}: rows move faster than they can be read, or the server "
                "keeps some back"
            )
            raise TransientError(message)
        self._trail.turn_back()
        return self._start(begin, known)

    def _start(self, begin: datetime | None, known: set[Mark]) -> str:
        self._leg, self._join = _Leg(begin, begin, known), None
        return self._url(begin)

    def _url(self, begin: datetime | None) -> str:
        query = replace(begun_at(self._query, self._cursor, begin), count=True)
        return query.url(self._environment_url)

    def _check_order(self, times: list[datetime]) -> None:
        if any(later < earlier for earlier, later in pairwise(times)):
            message = (
                f"{self._query.entity_set} does not come in the order of {self._cursor}; it cannot "
                "be a cursor"
            )
            raise DataError(message)
