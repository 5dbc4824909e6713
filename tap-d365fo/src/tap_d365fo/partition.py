"""Read one partition of an entity by its plan, from where its state left off."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.cursor import read_since, start_of_window
from tap_d365fo.reading.full import read_full
from tap_d365fo.reading.high_water import HighWater, Settled, has_settled, read_above
from tap_d365fo.reading.plan import ReadPlan, Strategy
from tap_d365fo.reading.query import Query, instant_literal, text_literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline_core.ledger import Ledger, NoLedger
    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.reading.pages import PageReader
    from tap_d365fo.settings import EntitySettings, Settings

#: Seconds re-read before a cursor's bookmark. ``SysModifiedDateTime`` is taken when a statement
#: runs, not when its transaction commits, so a row can become visible with a time that has already
#: been read past.
_CURSOR_LOOKBACK_S = 300

#: Numbers re-read below a high-water mark. RecIds come in blocks of some hundred an application
#: server.
_NUMBER_LOOKBACK = 10_000

_logger = logging.getLogger("tap-d365fo.partition")

#: A page of rows as received, and what the partition's state becomes once they are committed.
PageOfRows = tuple[list[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """What every stream of a run shares.

    Attributes:
        companies: Ids to read, lower case.
        started_at: When the run began: the upper bound of every cursor.
    """

    settings: Settings
    reader: PageReader
    ledger: Ledger | NoLedger
    companies: tuple[str, ...]
    started_at: datetime

    @property
    def url(self) -> str:
        """Address of the environment."""
        return self.settings.environment_url


@dataclass(frozen=True, slots=True)
class Partition:
    """One company's part of an entity set, or all of a shared one.

    Attributes:
        company: None for an entity that is shared by all companies.
        select: Properties to ask for; empty means all.
    """

    source: Source
    entity: Entity
    plan: ReadPlan
    settings: EntitySettings
    company: str | None
    select: tuple[str, ...]

    def pages(self, state: Mapping[str, Any]) -> Iterator[PageOfRows]:
        """Rows that ``state`` does not cover, page by page; under ``full`` all of them."""
        if self.plan.strategy is Strategy.CURSOR:
            return self._changed(state)
        if self.plan.strategy is Strategy.HIGH_WATER:
            return self._added(state)
        pages = read_full(self.source.reader, self._query(), self.source.url, self.entity.key)
        return ((rows, {}) for rows in pages)

    def must_start_over(self, state: Mapping[str, Any]) -> bool:
        """Whether what ``state`` says has been read is no longer what should have been.

        A bookmark speaks of the rows and columns that were asked for. With another filter, start
        date or selection, rows behind it were never read, or lack a column.
        """
        if self._bookmark(state) is None:
            return False
        if state.get("covers") != self._covers:
            _logger.warning(
                "%s: filter, start_date or selection differ from those of the bookmark; "
                "everything is read again",
                self.entity.entity_set,
            )
            return True
        if self.plan.strategy is not Strategy.HIGH_WATER:
            return False
        settled = self._settled(state)
        if has_settled(
            self.source.reader, self._query(), self.source.url, number=self._key, settled=settled
        ):
            return False
        _logger.warning(
            "%s: the number of rows up to %s %s is no longer %d; everything is read again",
            *(self.entity.entity_set, self._key, settled.up_to, settled.rows),
        )
        return True

    def _changed(self, state: Mapping[str, Any]) -> Iterator[PageOfRows]:
        bookmark = self._instant(self._bookmark(state))
        lookback = _CURSOR_LOOKBACK_S if self.settings.lookback is None else self.settings.lookback
        pages = read_since(
            self.source.reader,
            self._query(),
            self.source.url,
            self.entity.key,
            cursor=self._key,
            since=start_of_window(
                bookmark,
                lookback=timedelta(seconds=lookback),
                start_date=self.source.settings.start_date,
            ),
            until=self.source.started_at,
        )
        for rows, reached in pages:
            yield rows, self._mark(instant_literal(reached))

    def _added(self, state: Mapping[str, Any]) -> Iterator[PageOfRows]:
        lookback = _NUMBER_LOOKBACK if self.settings.lookback is None else self.settings.lookback
        mark = HighWater(self._settled(state), lookback)
        pages = read_above(
            self.source.reader,
            self._query(),
            self.source.url,
            number=self._key,
            above=mark.settled.up_to,
        )
        for rows, numbers in pages:
            settled = mark.take(numbers)
            yield rows, {**self._mark(numbers[-1]), "settled": asdict(settled)}

    def _mark(self, value: str | int) -> dict[str, Any]:
        return {
            "replication_key": self.plan.cursor,
            "replication_key_value": value,
            "covers": self._covers,
        }

    @property
    def _covers(self) -> str:
        """A short name for what is asked for; ``start_date`` counts only where it is used."""
        start = self.source.settings.start_date if self.plan.strategy is Strategy.CURSOR else None
        columns = self.select or tuple(p.name for p in self.entity.properties)
        asked = [self.settings.filter, start.isoformat() if start else None, sorted(columns)]
        return hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).hexdigest()

    def _bookmark(self, state: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
        """The bookmark, unless it is one of another property."""
        ours = state.get("replication_key") == self.plan.cursor
        return state.get("replication_key_value") if ours else None

    def _instant(self, bookmark: object) -> datetime | None:
        if bookmark is None:
            return None
        try:
            return datetime.fromisoformat(str(bookmark)).astimezone(UTC)
        except ValueError as error:
            message = f"{self.entity.entity_set}: the state holds a bookmark that is no instant"
            raise ConfigError(message) from error

    def has_rows(self) -> bool:
        """Whether anything of the partition can be seen at all, whatever the setting filters."""
        query = replace(self._query(filtered=False), order=(), select=self.entity.key, top=1)
        return bool(self.source.reader.page(query.url(self.source.url)).rows)

    def _settled(self, state: Mapping[str, Any]) -> Settled:
        if self._bookmark(state) is None:
            return Settled()
        return Settled(**state.get("settled", {}))

    @property
    def _key(self) -> str:
        assert self.plan.cursor is not None  # noqa: S101 - both strategies have one
        return self.plan.cursor

    def _query(self, *, filtered: bool = True) -> Query:
        """The request for the partition's rows, with or without the filter of the settings."""
        own = self.settings.filter if filtered else None
        conditions = [own] if own else []
        if self.company is not None:
            conditions.append(f"{COMPANY_PROPERTY} eq {text_literal(self.company)}")
        first = (self.plan.cursor,) if self.plan.cursor else ()
        return Query(
            self.entity.entity_set,
            conditions=tuple(conditions),
            order=tuple(dict.fromkeys((*first, *self.entity.key))),
            select=self.select,
        )
