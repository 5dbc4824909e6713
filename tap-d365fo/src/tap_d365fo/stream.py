"""One entity set as a Singer stream: partitions, records, bookmarks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from singer_sdk import singerlib as singer
from singer_sdk.streams.core import Stream

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.catalog import shape_of
from tap_d365fo.partition import Partition
from tap_d365fo.reading.plan import ReadPlan, Strategy, plan_reading
from tap_d365fo.reading.progress import Progress
from tap_d365fo.reading.rows import RowDecoder

if TYPE_CHECKING:
    from collections.abc import Generator

    from singer_sdk import Catalog

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.partition import Source
    from tap_d365fo.settings import EntitySettings
    from tap_d365fo.tap import TapD365FO

#: Where the SDK and we keep how far a partition has been read.
_BOOKMARK = "replication_key_value"

#: The context key of a partition: its bookmark is kept under ``{"company": "usmf"}``.
COMPANY = "company"


class EntityStream(Stream):
    """Reads one entity set, company by company."""

    def __init__(self, tap: TapD365FO, entity: Entity) -> None:
        """Describe the stream; nothing is fetched yet."""
        self._entity = entity
        self._d365_tap = tap
        self._shape = shape_of(entity, tap.settings_of(entity.entity_set))
        super().__init__(tap=tap, schema=self._shape.schema, name=entity.entity_set)
        self.primary_keys = entity.key
        if self._shape.cursor is not None:
            self.replication_key = self._shape.cursor
        self._known_columns = frozenset(p.name for p in entity.properties)

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
            for name in self._shape.deselected:
                mapping["properties", name].selected_by_default = False
        return mapping

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from the catalog, and no more columns than it knows.

        The SCHEMA message is made from the catalog; a column that was published since would travel
        without a schema. Running discovery again brings it in.
        """
        super().apply_catalog(catalog)
        if (entry := catalog.get_stream(self.name)) is not None:
            self._known_columns = frozenset(entry.schema.properties or {})
        if not self.primary_keys:
            self.primary_keys = self._entity.key

    def get_records(self, context: object) -> Generator[dict[str, Any]]:
        """Records of all partitions, for callers of the SDK that want rows without messages."""
        del context
        decode = self._decoder()
        for partition in self._partitions(self._plan()):
            for rows, _ in partition.pages(self._state_of(partition)):
                yield from (decode.record(row) for row in rows)

    def _generate_record_messages(
        self, record: dict[str, Any]
    ) -> Generator[singer.RecordMessage, None, None]:
        """As the SDK does, without its passes over every property of every record.

        The decoder has taken only what is selected, and has given each value its type.
        """
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield singer.RecordMessage(
                    stream=stream_map.stream_alias,
                    record=mapped,
                    version=self._stream_version,
                    time_extracted=datetime.now(UTC),
                )

    def _sync_records(
        self,
        context: object = None,  # noqa: ARG002 - partitions are our own
        *,
        write_messages: bool = True,
    ) -> Generator[dict[str, Any], None, None]:
        """Emit all partitions; the state moves with every page, behind the records it covers."""
        plan = self._plan()
        self.logger.info("%s: %s, because %s", self.name, plan.strategy, plan.reason)
        partitions = self._partitions(plan)
        anew = any(p.must_start_over(self._state_of(p)) for p in partitions)
        first = all(self._state_of(p).get(_BOOKMARK) is None for p in partitions)
        if anew or first or plan.strategy is Strategy.FULL:
            # A version tells the target which rows this read saw; what it did not see is gone.
            self._stream_version = int(time.time() * 1000)
        self._emitted = 0
        with self.get_record_counter() as counter, self.get_sync_timer():
            for partition in partitions:
                for record in self._read(partition, anew=anew, write_messages=write_messages):
                    counter.increment()
                    yield record
        if write_messages:
            if self._stream_version is not None:
                self._write_activate_version_message(self._stream_version)
            self.state_manager.is_flushed = False
            self._write_state_message()

    def _read(
        self, partition: Partition, *, anew: bool, write_messages: bool
    ) -> Generator[dict[str, Any], None, None]:
        """Emit one partition.

        Args:
            partition: What to read.
            anew: Read from the first row, and let the state move only when all of it has come:
                half of a second reading must not pass for the whole.
            write_messages: Whether to write Singer messages to stdout.
        """
        decode = self._decoder()
        progress = Progress(self.name, partition.company)
        state = self._state_of(partition)
        moved: dict[str, Any] = {}
        for rows, moved in partition.pages({} if anew else state):
            for row in rows:
                self._check_max_record_limit(self._emitted)
                record = decode.record(row)
                if write_messages:
                    self._write_record_message(record)
                self._emitted += 1
                yield record
            progress.page(len(rows))
            if moved and not anew:
                state.update(moved)
                self.state_manager.is_flushed = False
                if write_messages:
                    self._write_state_message()
        if partition.plan.strategy is Strategy.FULL:
            self._check_not_locked_out(partition, rows_before=state.get("rows"), rows=progress.rows)
            moved = {"rows": progress.rows}
        state.update(moved)
        self._source.ledger.append(
            "partition.read",
            stream=self.name,
            company=partition.company,
            strategy=partition.plan.strategy,
            rows=progress.rows,
            pages=progress.pages,
        )
        progress.finished()

    def _check_not_locked_out(
        self, partition: Partition, *, rows_before: int | None, rows: int
    ) -> None:
        """Tell a company whose rows are gone from one that may no longer be seen.

        F&O answers for a company without access with no rows and no error. Taken at its word, the
        company would vanish from Tableau.
        """
        company = partition.company
        if rows or not rows_before or company is None or self._d365_tap.sees_company(company):
            return
        message = (
            f"{self.name} had {rows_before} rows of company {company}, and now the application's "
            "user sees nothing of that company; give access back, or leave the company out of "
            "`companies`"
        )
        raise ConfigError(message)

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

    def shows(self, company: str) -> bool:
        """Whether any row of ``company`` can be seen here."""
        return self._entity.per_company and any(
            partition.has_rows()
            for partition in self._partitions(self._plan())
            if partition.company == company
        )

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company."""
        return self._entity.per_company

    def _partitions(self, plan: ReadPlan) -> list[Partition]:
        names = self._selected_names()
        everything = len(names) == len(self._entity.properties) and not self._entity.partial
        chosen = tuple(p.name for p in self._entity.properties if p.name in names)
        return [
            Partition(
                source=self._source,
                entity=self._entity,
                plan=plan,
                settings=self._entity_settings,
                company=company,
                select=() if everything else chosen,
            )
            for company in (self._source.companies if self._entity.per_company else (None,))
        ]

    def _selected_names(self) -> frozenset[str]:
        mask = self.mask
        return frozenset(
            p.name
            for p in self._entity.properties
            if p.is_key
            or (p.name in self._known_columns and mask.get(("properties", p.name), True))
        )

    def _decoder(self) -> RowDecoder:
        return RowDecoder(
            self._entity,
            self._selected_names(),
            null_sentinels=self._source.settings.null_sentinels,
        )

    def _state_of(self, partition: Partition) -> dict[str, Any]:
        context = {COMPANY: partition.company} if partition.company else None
        state: dict[str, Any] = self.get_context_state(context)
        return state
