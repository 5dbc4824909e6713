"""One entity set as a Singer stream: partitions, records, bookmarks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.streams.core import Stream

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.edm import json_schema, selected_by_default
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.cursor import read_since, start_of_window
from tap_d365fo.reading.full import read_full
from tap_d365fo.reading.plan import ReadPlan, Strategy, plan_reading
from tap_d365fo.reading.progress import Progress
from tap_d365fo.reading.query import Query, instant_literal, text_literal
from tap_d365fo.reading.rows import RowDecoder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from singer_sdk import Catalog

    from pipeline_core.ledger import Ledger, NoLedger
    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.reading.pages import PageReader
    from tap_d365fo.settings import EntitySettings, Settings
    from tap_d365fo.tap import TapD365FO

#: The context key of a partition: its bookmark is kept under ``{"company": "usmf"}``.
COMPANY = "company"


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


class EntityStream(Stream):
    """Reads one entity set, company by company."""

    #: Values are converted by ``metadata.edm`` against the same schema; a second pass would only
    #: cost.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapD365FO, entity: Entity) -> None:
        """Describe the stream; nothing is fetched yet."""
        self._entity = entity
        self._d365_tap = tap
        super().__init__(tap=tap, schema=json_schema(entity), name=entity.entity_set)
        self.primary_keys = entity.key
        plan = plan_reading(entity, self._entity_settings)
        if plan.cursor is not None:
            self.replication_key = plan.cursor
        self._binary = [p.name for p in entity.properties if not selected_by_default(p)]

    @property
    def is_sorted(self) -> bool:
        """Cursor reads come in the order of the cursor, so an interrupted one can go on."""
        return self.replication_key is not None

    def get_replication_key_signpost(self, context: object = None) -> None:
        """None: the upper bound is part of the request, not a mark in the state."""

    @property
    def metadata(self) -> Any:  # noqa: ANN401 - the SDK's own mapping
        """Selection metadata; binary properties start deselected."""
        fresh = self._metadata is None and self._tap_input_catalog is None
        mapping = super().metadata
        if fresh:
            for name in self._binary:
                mapping["properties", name].selected_by_default = False
        return mapping

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from the catalog, but not its schema or an empty key.

        The environment's own metadata was read a moment ago; a catalog of last month would freeze
        the columns of last month.
        """
        super().apply_catalog(catalog)
        self._input_schema = None
        if not self.primary_keys:
            self.primary_keys = self._entity.key

    def get_records(self, context: object) -> Generator[dict[str, Any]]:
        """Records of all partitions, for callers of the SDK that want rows without messages."""
        del context
        plan = self._plan()
        decode = self._decoder()
        for company in self._partitions():
            for rows, _ in self._pages(plan, company, self._bookmark(company)):
                yield from (decode.record(row) for row in rows)

    def _sync_records(
        self,
        context: object = None,  # noqa: ARG002 - partitions are our own
        *,
        write_messages: bool = True,
    ) -> Generator[dict[str, Any], None, None]:
        """Emit all partitions; a bookmark moves with every page, behind the records it covers."""
        plan = self._plan()
        decode = self._decoder()
        self.logger.info("%s: %s, because %s", self.name, plan.strategy, plan.reason)
        if plan.strategy is Strategy.FULL and self.primary_keys:
            # A version tells the target which rows this read has seen; what it has not seen is
            # gone.
            self._stream_version = int(time.time() * 1000)
        index = 0
        with self.get_record_counter() as counter, self.get_sync_timer():
            for company in self._partitions():
                progress = Progress(self.name, company)
                for rows, reached in self._pages(plan, company, self._bookmark(company)):
                    for row in rows:
                        self._check_max_record_limit(index)
                        record = decode.record(row)
                        if write_messages:
                            self._write_record_message(record)
                        counter.increment()
                        index += 1
                        yield record
                    progress.page(len(rows))
                    if reached is not None:
                        self._set_bookmark(plan, company, reached)
                        if write_messages:
                            self._write_state_message()
                self._source.ledger.append(
                    "partition.read",
                    stream=self.name,
                    company=company,
                    strategy=plan.strategy,
                    rows=progress.rows,
                    pages=progress.pages,
                )
                progress.finished()
        if write_messages:
            if self._stream_version is not None:
                self._write_activate_version_message(self._stream_version)
            self.state_manager.is_flushed = False
            self._write_state_message()

    @property
    def _source(self) -> Source:
        return self._d365_tap.source

    @property
    def _entity_settings(self) -> EntitySettings:
        return self._d365_tap.settings_of(self.name)

    def _plan(self) -> ReadPlan:
        plan = plan_reading(
            self._entity,
            self._entity_settings,
            catalog_method=self.forced_replication_method,
            catalog_key=self.replication_key,
        )
        selected = self._selected_names()
        if plan.cursor is not None and plan.cursor not in selected:
            message = (
                f"{self.name} is read by {plan.cursor}, which is not selected; select it, or set "
                "replication: full in entity_settings"
            )
            raise ConfigError(message)
        return plan

    def _partitions(self) -> tuple[str | None, ...]:
        return self._source.companies if self._entity.per_company else (None,)

    def _pages(
        self, plan: ReadPlan, company: str | None, bookmark: datetime | None
    ) -> Iterator[tuple[list[dict[str, Any]], datetime | None]]:
        """Pages of one partition, each with the bookmark that it earns (none under ``full``)."""
        source, settings = self._source, self._entity_settings
        query = self._query(plan, company)
        url = source.settings.environment_url
        key = self._entity.key
        start_date = source.settings.start_date
        if plan.cursor is None:
            yield from ((rows, None) for rows in read_full(source.reader, query, url, key))
            return
        yield from read_since(
            source.reader,
            query,
            url,
            key,
            cursor=plan.cursor,
            since=start_of_window(
                bookmark,
                lookback=timedelta(seconds=settings.lookback_s),
                start_date=start_date,
            ),
            until=source.started_at,
        )

    def _query(self, plan: ReadPlan, company: str | None) -> Query:
        conditions = [self._entity_settings.filter] if self._entity_settings.filter else []
        if company is not None:
            conditions.append(f"{COMPANY_PROPERTY} eq {text_literal(company)}")
        selected = self._selected_names()
        everything = len(selected) == len(self._entity.properties)
        order = (plan.cursor,) if plan.cursor else ()
        return Query(
            self.name,
            conditions=tuple(conditions),
            order=(*order, *self._entity.key),
            select=()
            if everything
            else tuple(p.name for p in self._entity.properties if p.name in selected),
        )

    def _selected_names(self) -> frozenset[str]:
        mask = self.mask
        return frozenset(
            p.name
            for p in self._entity.properties
            if p.is_key or mask.get(("properties", p.name), True)
        )

    def _decoder(self) -> RowDecoder:
        return RowDecoder(
            self._entity,
            self._selected_names(),
            null_sentinels=self._source.settings.null_sentinels,
        )

    def _bookmark(self, company: str | None) -> datetime | None:
        value = self._state_of(company).get("replication_key_value")
        return datetime.fromisoformat(value) if value else None

    def _set_bookmark(self, plan: ReadPlan, company: str | None, reached: datetime) -> None:
        state = self._state_of(company)
        state["replication_key"] = plan.cursor
        state["replication_key_value"] = instant_literal(reached)
        self.state_manager.is_flushed = False

    def _state_of(self, company: str | None) -> dict[str, Any]:
        state: dict[str, Any] = self.get_context_state({COMPANY: company} if company else None)
        return state
