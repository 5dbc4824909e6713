"""One entity set as a Singer stream: what is selected, how it is read, what is emitted."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from singer_sdk import singerlib as singer
from singer_sdk.singerlib.catalog import REPLICATION_LOG_BASED
from singer_sdk.streams.core import Stream

from pipeline_core.errors import ConfigError, PipelineError
from tap_d365fo.audit import DELETED_AT
from tap_d365fo.failures import PartitionFailure, is_fatal
from tap_d365fo.metadata.edm import json_schema, selected_by_default
from tap_d365fo.partition import Partition
from tap_d365fo.preparation import Job, Preparation, prepare
from tap_d365fo.reading.plan import ReadPlan, Strategy, plan_reading
from tap_d365fo.reading.progress import Progress
from tap_d365fo.reading.rows import RowDecoder

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from datetime import datetime

    from singer_sdk import Catalog

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.partition import Source
    from tap_d365fo.reading.portion import Portion
    from tap_d365fo.settings import EntitySettings
    from tap_d365fo.tap import TapD365FO

#: The context key of a partition: its bookmark is kept under ``{"company": "usmf"}``.
COMPANY = "company"


class EntityStream(Stream):
    """Reads one entity set, company by company."""

    def __init__(self, tap: TapD365FO, entity: Entity) -> None:
        """Describe the stream; nothing is fetched yet."""
        self._entity = entity
        self._d365_tap = tap
        plan = plan_reading(
            entity, tap.settings_of(entity.entity_set), has_snapshots=tap.has_snapshots
        )
        schema = json_schema(entity)
        if plan.strategy is Strategy.ETAG_SCAN:
            schema["properties"][DELETED_AT] = {"type": ["string", "null"], "format": "date-time"}
        super().__init__(tap=tap, schema=schema, name=entity.entity_set)
        self.primary_keys = entity.key
        if plan.cursor is not None:
            self.replication_key = plan.cursor
        if plan.strategy is Strategy.ETAG_SCAN:
            # The Singer word for "changes and deletions, not by a column"; FULL_TABLE in a catalog
            # can still ask for a full read.
            self.forced_replication_method = REPLICATION_LOG_BASED
        self._known_columns = frozenset(p.name for p in entity.properties)
        self._binary = [p.name for p in entity.properties if not selected_by_default(p)]
        self._page_received_at: datetime | None = None

    @property
    def is_sorted(self) -> bool:
        """Cursor reads come in the order of the cursor, so an interrupted one can go on."""
        return self.replication_key is not None

    def get_replication_key_signpost(self, context: object = None) -> None:
        """None: the upper bound is part of the request, not a mark in the state."""

    @property
    def metadata(self) -> Any:  # noqa: ANN401 - the SDK's own mapping
        """Selection metadata; binary properties start deselected, deletions are always told."""
        fresh = self._metadata is None and self._tap_input_catalog is None
        mapping = super().metadata
        if fresh:
            for name in self._binary:
                mapping["properties", name].selected_by_default = False
            if DELETED_AT in self.schema["properties"]:
                mapping[
                    "properties", DELETED_AT
                ].inclusion = singer.Metadata.InclusionType.AUTOMATIC
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
        decode = self._decoder
        for partition in self.partitions_of(self._plan()):
            for portion in partition.portions(self.state_of(partition)):
                yield from (decode.record(row) for row in portion.rows)

    def _generate_record_messages(
        self, record: dict[str, Any]
    ) -> Generator[singer.RecordMessage, None, None]:
        """As the SDK does, without its passes over every property of every record.

        The decoder has taken only what is selected, and has given each value its type. The time is
        that of the page: it says how old a row is, and a replay gives the same.
        """
        for stream_map in self.stream_maps:
            mapped = stream_map.transform(record)
            if mapped is not None:
                yield singer.RecordMessage(
                    stream=stream_map.stream_alias,
                    record=mapped,
                    version=self._stream_version,
                    time_extracted=self._page_received_at,
                )

    def prepare(self) -> Preparation:
        """Decide what is read and hand it to the pool; a second call does nothing.

        Raises:
            PipelineError: the plan cannot be carried out, or the environment does not answer.
        """
        return self._preparation

    @cached_property
    def _preparation(self) -> Preparation:
        plan = self._plan()
        self.logger.info("%s: %s, because %s", self.name, plan.strategy, plan.reason)
        return prepare(
            plan,
            [(p, self.state_of(p)) for p in self.partitions_of(plan)],
            pool=self._d365_tap.pool,
            started_at=self._source.started_at,
        )

    def _sync_records(
        self,
        context: object = None,  # noqa: ARG002 - partitions are our own
        *,
        write_messages: bool = True,
    ) -> Generator[dict[str, Any], None, None]:
        """Emit all partitions; the state moves with every portion, behind the rows it covers."""
        try:
            preparation = self.prepare()
        except PipelineError as error:
            self._fail(PartitionFailure(self.name, None, error))
            return
        self._d365_tap.prepare_ahead(self)
        self._stream_version = preparation.version
        self._emitted = 0
        progress = Progress(self.name, len(preparation.jobs))
        try:
            with self.get_record_counter() as counter, self.get_sync_timer():
                for job, portion, failure in preparation.in_turns():
                    if failure is not None:
                        self._give_up(job, failure)
                    elif portion is None:
                        self._finish(job, anew=preparation.anew)
                        progress.ended()
                    else:
                        for record in self._emit(job, portion, write_messages=write_messages):
                            counter.increment()
                            yield record
                        progress.portion(job.partition.name, portion)
        finally:
            preparation.release()
        for job in preparation.jobs:
            job.partition.settle(self.state_of(job.partition))
        if write_messages:
            if preparation.version is not None and not any(job.failed for job in preparation.jobs):
                self._write_activate_version_message(preparation.version)
            self.state_manager.is_flushed = False
            self._write_state_message()
        progress.finished()

    def _emit(
        self, job: Job, portion: Portion, *, write_messages: bool
    ) -> Generator[dict[str, Any], None, None]:
        """Write one portion and let the state move behind it."""
        self._page_received_at = portion.received_at
        try:
            for record in self._records(portion):
                self._check_max_record_limit(self._emitted)
                if write_messages:
                    self._write_record_message(record)
                self._emitted += 1
                yield record
        except PipelineError as error:
            self._preparation.abandon(job)
            self._give_up(job, error)
            return
        job.rows += len(portion.rows)
        job.deletes += len(portion.deleted)
        job.pages += portion.pages
        job.moved.update(portion.state)
        # Half of a second reading must not pass for the whole: then the state moves at its end.
        if portion.state and not self._preparation.anew:
            self._move(job)
            if write_messages and (portion.rows or portion.deleted):
                self._write_state_message()

    def _give_up(self, job: Job, error: Exception) -> None:
        job.failed = True
        self._fail(PartitionFailure(self.name, job.partition.company, error))

    def _records(self, portion: Portion) -> Iterable[dict[str, Any]]:
        decode = self._decoder
        for key in portion.deleted:
            yield {**decode.key(key), DELETED_AT: portion.received_at.isoformat()}
        for row in portion.rows:
            yield decode.record(row)

    def _move(self, job: Job) -> None:
        """Let the partition's state take over what has been emitted."""
        state = self.state_of(job.partition)
        for name, value in job.moved.items():
            if value is None:
                state.pop(name, None)
            else:
                state[name] = value
        self.state_manager.is_flushed = False

    def _finish(self, job: Job, *, anew: bool) -> None:
        if anew:
            self._move(job)
        self._source.ledger.append(
            "partition.read",
            stream=self.name,
            company=job.partition.company,
            strategy=job.partition.plan.strategy,
            rows=job.rows,
            deletes=job.deletes,
            pages=job.pages,
        )

    def _fail(self, failure: PartitionFailure) -> None:
        """Note a failure and go on, where that makes sense and is wanted.

        Raises:
            Exception: the failure, when the run is to end with it.
        """
        if self._source.settings.fail_fast or is_fatal(failure.error):
            raise failure.error
        self._d365_tap.failures.append(failure)
        self.logger.error("%s; the other partitions go on", failure)
        self._source.ledger.append(
            "partition.failed",
            stream=failure.stream,
            company=failure.company,
            error=type(failure.error).__name__,
        )

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
            has_snapshots=self._d365_tap.has_snapshots,
            catalog_method=self.forced_replication_method,
            catalog_key=self.replication_key,
        )
        selected = self._selected_names
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
            for partition in self.partitions_of(self._plan())
            if partition.company == company
        )

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company."""
        return self._entity.per_company

    def partitions_of(self, plan: ReadPlan) -> list[Partition]:
        """The partitions of this run: one a company, or one for a shared entity."""
        names = self._selected_names
        everything = len(names) == len(self._entity.properties)
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

    @cached_property
    def _selected_names(self) -> frozenset[str]:
        mask = self.mask
        asked = self._entity_settings.select
        always = {self.replication_key, *asked}
        return frozenset(
            p.name
            for p in self._entity.properties
            if p.is_key
            or (
                p.name in self._known_columns
                and mask.get(("properties", p.name), True)
                and (not asked or p.name in always)
            )
        )

    @cached_property
    def _decoder(self) -> RowDecoder:
        return RowDecoder(
            self._entity,
            self._selected_names,
            null_sentinels=self._source.settings.null_sentinels,
        )

    def state_of(self, partition: Partition) -> dict[str, Any]:
        """The partition's own part of the state, to be changed in place."""
        context = {COMPANY: partition.company} if partition.company else None
        state: dict[str, Any] = self.get_context_state(context)
        return state
