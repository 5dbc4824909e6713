"""Strategy ``high_water``: read what was added above a number, and notice what was added below.

For sets whose rows are only ever added under a growing number: the posted ledger by its RecId. The
number grows in the order of *insertion*, not of *commit*: RecIds are handed out in blocks, and a
long transaction becomes visible after shorter ones with higher numbers. So each run begins a
look-back below the highest number read. Because no look-back is surely wide enough, the server is
asked how many rows lie below it: they must be as many as were read. If not, everything is read
again. The same is asked of an older mark far below: what is archived is old, what commits late is
not, so the two do not make up for each other in both numbers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field, replace
from operator import le
from typing import TYPE_CHECKING

from pipeline_core.errors import DataError
from tap_d365fo.reading.full import count_rows
from tap_d365fo.reading.pages import Trail
from tap_d365fo.reading.typed_rows import column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query
    from tap_d365fo.reading.typed_rows import Row


#: Look-backs that the older mark may lie behind the newer one before it follows.
_BAND_LOOKBACKS = 100


@dataclass(frozen=True, slots=True)
class Settled:
    """What need not be read again.

    Attributes:
        up_to: Number up to which rows have been read for good; None before the first row.
        rows: How many rows there were up to it, counted as they were read.
    """

    up_to: int | None = None
    rows: int = 0


@dataclass(slots=True)
class HighWater:
    """Follows a read and tells what has settled: rows more than ``lookback`` below the highest.

    ``before`` is an older mark, far below.

    The rows are counted here, as they are read, and not asked of the server afterwards: a row that
    was committed in between would be counted without having been read.
    """

    settled: Settled
    lookback: int
    before: Settled = field(default_factory=Settled)
    _window: deque[int] = field(default_factory=deque)

    @property
    def rows(self) -> int:
        """How many rows there were up to the highest one read."""
        return self.settled.rows + len(self._window)

    def take(self, numbers: Iterable[int]) -> Settled:
        """Account for rows in growing order; returns what has settled by now."""
        self._window.extend(numbers)
        if not self._window:
            return self.settled
        up_to = self._window[-1] - self.lookback
        rows = self.settled.rows
        while self._window and self._window[0] <= up_to:
            self._window.popleft()
            rows += 1
        if rows > self.settled.rows:
            self._follow()
            self.settled = Settled(up_to, rows)
        return self.settled

    def _follow(self) -> None:
        """Let the older mark take the place of the newer one, when that has gone far ahead."""
        here, there = self.settled.up_to, self.before.up_to
        band = _BAND_LOOKBACKS * max(self.lookback, 1)
        if there is None or (here is not None and here - there > band):
            self.before = self.settled


def read_above(
    reader: PageReader, query: Query, environment_url: str, *, number: str, above: int | None
) -> Iterator[tuple[Page, list[int]]]:
    """Rows whose ``number`` is greater than ``above``, in its order, page by page.

    Args:
        reader: Fetches pages.
        query: Entity set, company, selection and order by ``number``.
        environment_url: Where to ask.
        number: An ``Edm.Int64`` property that no two rows share.
        above: Where to begin; None reads from the first row.

    Yields:
        Pages and the numbers of their rows.

    Raises:
        DataError: the numbers do not grow from row to row.
    """
    reached = above
    following = _above(query, number, above).url(environment_url)
    trail = Trail(query.entity_set)
    while True:
        trail.enter(following)
        page = reader.page(following)
        numbers = _numbers(page.rows, number, query.entity_set)
        if any(map(le, numbers[1:], numbers)):
            message = f"{query.entity_set}: {number} does not grow from row to row"
            raise DataError(message)
        known = 0 if reached is None else bisect_right(numbers, reached)
        trail.leave(len(numbers[known:]))
        if numbers[known:]:
            del page.rows[:known]
            yield page, numbers[known:]
        if page.next_url is None:
            return
        if numbers:
            reached = max(numbers[-1], reached) if reached is not None else numbers[-1]
            following = _above(query, number, reached).url(environment_url)
        else:
            following = page.next_url


def has_settled(
    reader: PageReader, query: Query, environment_url: str, *, number: str, settled: Settled
) -> bool:
    """Whether the server still has as many rows up to the mark as were read.

    More: a transaction was committed later than the look-back reaches. Fewer: rows were archived.
    """
    if settled.up_to is None:
        return True
    return count_up_to(reader, query, environment_url, number, settled.up_to) == settled.rows


def count_up_to(
    reader: PageReader, query: Query, environment_url: str, number: str, value: int
) -> int:
    """How many rows the server has up to a number.

    Raises:
        DataError: it does not say.
    """
    below = replace(query.where(f"{number} le {value}"), order=(number,))
    return count_rows(reader, below, environment_url)


def _above(query: Query, number: str, value: int | None) -> Query:
    return query if value is None else query.where(f"{number} gt {value}")


def _numbers(rows: Sequence[Row], number: str, entity_set: str) -> list[int]:
    values = column(rows, number)
    if set(map(type, values)) <= {int}:
        return values
    return [_number(row, number, entity_set) for row in rows]


def _number(row: Row, number: str, entity_set: str) -> int:
    value = row.get(number)
    try:
        if isinstance(value, int | str):  # IEEE754Compatible servers write it as text
            return int(value)
    except ValueError:
        pass
    message = f"{entity_set}: a row has no readable {number}"
    raise DataError(message)
