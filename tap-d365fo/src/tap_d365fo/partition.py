"""Read one partition of an entity by its plan, from where its state left off."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline_core.errors import ConfigError
from tap_d365fo.companies import has_had_rows
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.cursor import read_since, start_of_window
from tap_d365fo.reading.etag_scan import EtagScan
from tap_d365fo.reading.full import is_short, read_full
from tap_d365fo.reading.high_water import (
    HighWater,
    Settled,
    count_up_to,
    has_settled,
    read_above,
)
from tap_d365fo.reading.keys import KeyForm, behind
from tap_d365fo.reading.plan import ReadPlan, Strategy
from tap_d365fo.reading.portion import Portion
from tap_d365fo.reading.query import Query, instant_literal, text_literal
from tap_d365fo.reading.snapshots import SnapshotFolder, links_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipeline_core.ledger import Ledger, NoLedger
    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.typed_rows import RowReader
    from tap_d365fo.settings import EntitySettings, Settings

#: Seconds re-read before a cursor's bookmark. ``SysModifiedDateTime`` is taken when a statement
#: runs, not when its transaction commits, so a row can become visible with a time that has already
#: been read past.
_CURSOR_LOOKBACK_S = 300

#: Numbers re-read below a high-water mark. RecIds come in blocks of some hundred an application
#: server.
_NUMBER_LOOKBACK = 10_000

#: A full read that was begun longer ago is begun anew: what came of it would be too old to stand
#: beside the rest. Less than a day, so that a nightly run never goes on with that of the night
#: before.
_RESUMABLE_FOR = timedelta(hours=12)

_logger = logging.getLogger("tap-d365fo.partition")


def _everybody_sees(_company: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Source:
    """What every stream of a run shares.

    Attributes:
        companies: Ids to read, lower case.
        started_at: When the run began: the upper bound of every cursor.
        sees_company: Whether any selected entity shows a row of a company.
        run_id: Names what the run writes, so that a replay writes the same names.
    """

    settings: Settings
    reader: PageReader
    ledger: Ledger | NoLedger
    companies: tuple[str, ...]
    started_at: datetime
    sees_company: Callable[[str], bool] = _everybody_sees
    run_id: str = ""

    @property
    def url(self) -> str:
        """Address of the environment."""
        return self.settings.environment_url


@dataclass(frozen=True)
class Partition:
    """One company's part of an entity set, or all of a shared one.

    Attributes:
        company: None for an entity that is shared by all companies.
        select: Properties to ask for; empty means all.
        expand: Terms of ``$expand``.
        row_reader: Reads pages of the entity; without it they become dictionaries.
    """

    source: Source
    entity: Entity
    plan: ReadPlan
    settings: EntitySettings
    company: str | None
    select: tuple[str, ...]
    expand: tuple[str, ...] = ()
    row_reader: RowReader | None = None

    @property
    def name(self) -> str:
        """How the partition is called in messages."""
        return (
            f"{self.entity.entity_set} [{self.company}]"
            if self.company
            else (self.entity.entity_set)
        )

    @property
    def is_whole(self) -> bool:
        """Whether the server is asked for all properties: one that is not known is news."""
        return not self.select and not self.entity.partial

    def portions(
        self, state: Mapping[str, Any], *, known: Mapping[str, Any] | None = None
    ) -> Iterator[Portion]:
        """Rows that ``state`` does not cover; under ``full`` all of them.

        Args:
            state: Where to go on; empty begins anew.
            known: What the state says in truth, where ``state`` is empty in order to begin anew.

        Raises:
            ConfigError: the company had rows and can no longer be seen.
        """
        portions = self._seen(state, state if known is None else known)
        if self.plan.strategy is Strategy.ETAG_SCAN or "snapshot" not in state:
            return portions
        # A snapshot that does not know what another strategy hands over would never miss it.
        return (replace(p, state={"snapshot": None, **p.state}) for p in portions)

    def _seen(self, state: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Portion]:
        """The portions; where none has a row of a company that had some, a look at it first."""
        if self._has_been_read(state):
            return
        portions = self._portions(state)
        if self._had_rows(known) and not self._compares(state):
            before: list[Portion] = []
            for portion in portions:
                before.append(portion)
                if portion.rows:
                    break
            else:
                self._check_access(known.get("rows"))
            yield from before
        yield from portions

    @staticmethod
    def _had_rows(known: Mapping[str, Any]) -> bool:
        """Whether an earlier run has read rows; a bookmark without its key is none of ours."""
        is_ours = "replication_key_value" not in known or "replication_key" in known
        return is_ours and has_had_rows(known)

    def _portions(self, state: Mapping[str, Any]) -> Iterator[Portion]:
        match self.plan.strategy:
            case Strategy.CURSOR:
                return self._changed(state)
            case Strategy.HIGH_WATER:
                return self._added(state)
            case Strategy.ETAG_SCAN:
                return self._scanned(state)
            case Strategy.FULL:
                return self._all(state)

    def is_new(self, state: Mapping[str, Any]) -> bool:
        """Whether nothing has been read yet."""
        return self._bookmark(state) is None

    def resumes(self, state: Mapping[str, Any]) -> bool:
        """Whether an interrupted read of all rows goes on."""
        if self.plan.strategy is Strategy.FULL:
            return self._has_been_read(state) or self._rest(state) is not None
        scans = self.plan.strategy is Strategy.ETAG_SCAN
        return scans and not self.is_new(state) and not self._compares(state)

    def _compares(self, state: Mapping[str, Any]) -> bool:
        """Whether rows are compared with a snapshot, so that a quiet company shows its rows."""
        scans = self.plan.strategy is Strategy.ETAG_SCAN
        whole = not isinstance(state.get("resume"), list)
        return scans and whole and bool(links_of(state.get("snapshot")))

    def must_start_over(self, state: Mapping[str, Any]) -> bool:
        """Whether what ``state`` says has been read is no longer what should have been.

        A bookmark speaks of the rows and columns that were asked for. With another filter, start
        date or selection, rows behind it were never read, or lack a column.
        """
        if self.plan.strategy is Strategy.FULL or self.is_new(state):
            return False
        reason = self._why_over(state)
        if reason is not None:
            _logger.warning("%s: %s; everything is read again", self.entity.entity_set, reason)
        return reason is not None

    def _why_over(self, state: Mapping[str, Any]) -> str | None:
        if state.get("covers") != self._covers:
            return "filter, start_date or selection differ from those of the bookmark"
        if self.plan.strategy is Strategy.ETAG_SCAN:
            intact = self._folder.is_intact(links_of(state.get("snapshot")))
            return None if intact else "the snapshot that the state names is gone or damaged"
        if self.plan.strategy is not Strategy.HIGH_WATER:
            return None
        return self._why_not_settled(state)

    def _why_not_settled(self, state: Mapping[str, Any]) -> str | None:
        """Whether the server's numbers of rows are still those that were read."""
        reader, query, url = self._reader, self._query(), self.source.url
        for settled in (self._settled(state), self._settled(state, "settled_before")):
            if not has_settled(reader, query, url, number=self._cursor, settled=settled):
                return (
                    f"the number of rows up to {self._cursor} {settled.up_to} is no longer "
                    f"{settled.rows}"
                )
        highest, rows = self._bookmark(state), state.get("rows", 0)
        # Within the look-back rows may be added late, and will be read; but none may be missing.
        if count_up_to(reader, query, url, self._cursor, highest) < rows:
            return f"rows are gone of the {rows} up to {self._cursor} {highest}"
        return None

    def settle(self, state: dict[str, Any]) -> None:
        """Forget what only serves a run in which the stream is not read to its end."""
        state.pop("read", None)

    def _all(self, state: Mapping[str, Any]) -> Iterator[Portion]:
        rest = self._rest(state)
        if rest is not None and is_short(
            self._reader, self._query(), rest, self.source.url, state["resume"]["rows"]
        ):
            rest = None
        begun = state["resume"]["begun"] if rest else self.source.started_at.isoformat()
        rows = before = state["resume"]["rows"] if rest else 0
        mark = {"begun": begun, "covers": self._covers}
        for page in read_full(
            self._reader,
            rest or self._query(),
            self.source.url,
            self.entity.key,
            by_key=self._paging_key,
        ):
            rows = before + page.walked
            after = self._keys.literals(page.rows[-1]) if page.rows else None
            moved: dict[str, Any] = {}
            if after is not None and self._keys.is_ordered:
                moved["resume"] = {"after": after, **mark, "rows": rows}
            yield _portion(page, moved)
        closing = {"resume": None, "rows": rows, "read": mark}
        yield Portion([], closing, self.source.started_at, pages=0)

    def _has_been_read(self, state: Mapping[str, Any]) -> bool:
        """Whether a full read that was interrupted later on, at another company, has this one."""
        return self.plan.strategy is Strategy.FULL and self._goes_on(state.get("read"))

    def _rest(self, state: Mapping[str, Any]) -> Query | None:
        """What an interrupted full read has still to read."""
        resume = state.get("resume")
        if not isinstance(resume, dict) or not self._goes_on(resume):
            return None
        return behind(self._query(), self._keys, tuple(resume["after"]))

    def _goes_on(self, mark: object) -> bool:
        """Whether ``mark`` is of a read that this run may go on with."""
        if not isinstance(mark, dict) or mark.get("covers") != self._covers:
            return False
        begun = datetime.fromisoformat(mark["begun"])
        return self.source.started_at - begun <= _RESUMABLE_FOR

    def _scanned(self, state: Mapping[str, Any]) -> Iterator[Portion]:
        scan = EtagScan(
            name=self.name,
            reader=self._reader,
            environment_url=self.source.url,
            query=self._query(),
            key=self.entity.key,
            form=self._keys,
            folder=self._folder,
            max_delete_fraction=self.source.settings.max_delete_fraction,
            started_at=self.source.started_at,
            check_access=self._check_access,
            page_by_key=self._paging_key is not None,
        )
        chain = links_of(state.get("snapshot"))
        self._folder.tidy(chain)
        resume = state.get("resume")
        if self._compares(state):
            portions = scan.changes(chain)
        else:
            portions = scan.first(
                chain, tuple(resume) if chain and resume else None, state.get("rows", 0)
            )
        for portion in portions:
            yield replace(portion, state={**portion.state, "covers": self._covers})

    def _changed(self, state: Mapping[str, Any]) -> Iterator[Portion]:
        bookmark = self._instant(self._bookmark(state))
        lookback = _CURSOR_LOOKBACK_S if self.settings.lookback is None else self.settings.lookback
        pages = read_since(
            self._reader,
            self._query(),
            self.source.url,
            self.entity.key,
            cursor=self._cursor,
            since=start_of_window(
                bookmark,
                lookback=timedelta(seconds=lookback),
                start_date=self.source.settings.start_date,
            ),
            until=self.source.started_at,
            window=timedelta(days=days) if (days := self.settings.window_days) else None,
        )
        for page, reached in pages:
            yield _portion(page, self._mark(instant_literal(reached)))

    def _added(self, state: Mapping[str, Any]) -> Iterator[Portion]:
        lookback = _NUMBER_LOOKBACK if self.settings.lookback is None else self.settings.lookback
        mark = HighWater(
            self._settled(state), lookback, before=self._settled(state, "settled_before")
        )
        pages = read_above(
            self._reader,
            self._query(),
            self.source.url,
            number=self._cursor,
            above=mark.settled.up_to,
        )
        for page, numbers in pages:
            settled = mark.take(numbers)
            marks = {"settled": asdict(settled), "settled_before": asdict(mark.before)}
            yield _portion(page, {**self._mark(numbers[-1]), **marks, "rows": mark.rows})

    def _mark(self, value: str | int) -> dict[str, Any]:
        return {
            "replication_key": self.plan.cursor,
            "replication_key_value": value,
            "covers": self._covers,
        }

    @cached_property
    def _covers(self) -> str:
        """A short name for what is asked for; ``start_date`` counts only where it is used."""
        start = self.source.settings.start_date if self.plan.strategy is Strategy.CURSOR else None
        columns = self.select or tuple(p.name for p in self.entity.properties)
        asked = [self.settings.filter, start.isoformat() if start else None, sorted(columns)]
        if self.expand:
            asked.append(list(self.expand))
        return hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).hexdigest()

    def _bookmark(self, state: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
        """What says how far the partition has been read, unless it is one of another plan."""
        if self.plan.strategy is Strategy.FULL:
            return None
        if self.plan.strategy is Strategy.ETAG_SCAN:
            return state.get("snapshot")
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
        query = replace(
            self._query(filtered=False), order=(), select=self.entity.key, expand=(), top=1
        )
        return any(page.rows for page in self._reader.walk(query.url(self.source.url)))

    def sample(self, most: int) -> Page:
        """Some rows, whatever has been read before: for a look at the environment."""
        query = replace(self._query(), order=(), top=most)
        return self._reader.page(query.url(self.source.url))

    def _check_access(self, rows_before: int | None) -> None:
        """Tell a company whose rows are gone from one that may no longer be seen.

        F&O answers for a company without access with no rows and no error. Taken at its word, the
        company would vanish from Tableau.
        """
        if self.company is None or self.source.sees_company(self.company):
            return
        message = (
            f"{self.entity.entity_set} had {rows_before or 'some'} rows of company "
            f"{self.company}, and now "
            "the application's user sees nothing of that company; give access back, or leave the "
            "company out of `companies`"
        )
        raise ConfigError(message)

    def _settled(self, state: Mapping[str, Any], mark: str = "settled") -> Settled:
        if self._bookmark(state) is None:
            return Settled()
        return Settled(**state.get(mark, {}))

    @property
    def _cursor(self) -> str:
        assert self.plan.cursor is not None  # noqa: S101 - both strategies have one
        return self.plan.cursor

    @cached_property
    def _reader(self) -> PageReader:
        reader = self.source.reader
        return reader if self.row_reader is None else reader.reading(self.row_reader.read)

    @cached_property
    def _keys(self) -> KeyForm:
        return KeyForm(self.entity)

    @property
    def _paging_key(self) -> KeyForm | None:
        return self._keys if self.settings.paging == "keyset" else None

    @cached_property
    def _folder(self) -> SnapshotFolder:
        """Where the snapshots of this partition lie: environment, entity set, company."""
        root = self.source.settings.snapshot_path or Path()  # the plan makes sure that it is set
        host = urlsplit(self.source.url).hostname or ""
        environment = hashlib.blake2b(self.source.url.encode(), digest_size=4).hexdigest()
        company = self.company or "_shared"
        path = root / f"{host}-{environment}" / self.entity.entity_set / company
        return SnapshotFolder(path, run_id=self.source.run_id)

    def snapshot_files(self, state: Mapping[str, Any]) -> list[Path]:
        """The files of the snapshot that ``state`` names."""
        chain = links_of(state.get("snapshot"))
        return self._folder.files(chain) if chain else []

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
            expand=self.expand,
        )


def _portion(page: Page, state: Mapping[str, Any]) -> Portion:
    return Portion(page.rows, state, page.received_at, [], page.size_bytes, 1, page.count)
