"""One entity set as a Singer stream: what is selected, how it is read, what is emitted."""

from __future__ import annotations

from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from singer_sdk import metrics
from singer_sdk import singerlib as singer
from singer_sdk.helpers._state import get_state_if_exists
from singer_sdk.mapper import SameRecordTransform
from singer_sdk.streams.core import Stream

from pipeline_core.errors import ConfigError, DataError, PipelineError
from tap_d365fo import removals
from tap_d365fo.audit import DELETED_AT, added, as_text, growth
from tap_d365fo.batch import StreamBatches
from tap_d365fo.companies import COMPANY
from tap_d365fo.failures import PartitionFailure, is_down, is_fatal, summary
from tap_d365fo.metadata.catalog import shape_of
from tap_d365fo.metadata.checks import new_columns
from tap_d365fo.partition import Partition
from tap_d365fo.preparation import Job, Preparation, prepare
from tap_d365fo.reading.plan import ReadPlan, plan_reading
from tap_d365fo.reading.progress import Progress
from tap_d365fo.reading.rows import RowDecoder, are_typed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path

    from singer_sdk import Catalog

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.partition import Source
    from tap_d365fo.reading.portion import Portion
    from tap_d365fo.reading.typed_rows import Row
    from tap_d365fo.settings import EntitySettings
    from tap_d365fo.tap import TapD365FO

#: Characters of a failure's sentence that the ledger keeps.
_REASON_LENGTH = 500

#: Records that become lines at a time.
_GROUP = 500

#: Names of new columns in a line of the log.
_MOST_NAMES = 5

#: Stands for a row that has been sent.
_SENT: dict[str, Any] = {}

#: What the SDK's metrics call the place that rows come from.
_ENDPOINT = "/data"


class EntityStream(Stream):
    """Reads one entity set, company by company."""

    def __init__(self, tap: TapD365FO, entity: Entity) -> None:
        """Describe the stream; nothing is fetched yet."""
        self._entity = entity
        self._d365_tap = tap
        self._shape = shape_of(
            entity, tap.settings_of(entity.entity_set), has_snapshots=tap.has_snapshots
        )
        super().__init__(tap=tap, schema=self._shape.schema, name=entity.entity_set)
        self.primary_keys = entity.key
        if self._shape.cursor is not None:
            self.replication_key = self._shape.cursor
        if self._shape.forced_method is not None:
            self.forced_replication_method = self._shape.forced_method
        self._known_columns = frozenset(p.name for p in entity.properties)
        self._page_received_at: datetime | None = None
        self._told_columns: set[str] = set()

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
            for name in self._shape.deselected:
                mapping["properties", name].selected_by_default = False
            for name in self._shape.automatic:
                mapping["properties", name].inclusion = singer.Metadata.InclusionType.AUTOMATIC
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

    def get_batch_config(self, config: object) -> None:
        """None: files are written where RECORD messages are, not by the SDK's own BATCH mode."""

    def get_records(self, context: object) -> Generator[dict[str, Any]]:
        """Records of all partitions, for callers of the SDK that want rows without messages."""
        del context
        decode = self._decoder
        for partition in self.partitions_of(self._plan()):
            for portion in partition.portions(self.state_of(partition)):
                yield from decode.records(portion.rows)

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
            [(p, self._known_of(p)) for p in self.partitions_of(plan)],
            pool=self._d365_tap.pool,
            started_at=self._source.started_at,
            sends_versions=self._source.settings.sends_versions,
            left_out=bool(self._d365_tap.left_out(self.name)),
        )

    def _sync_records(
        self,
        context: object = None,  # noqa: ARG002 - partitions are our own
        *,
        write_messages: bool = True,
    ) -> Generator[Any, None, None]:
        """Emit all partitions; the state moves with every portion, behind the rows it covers.

        Records are yielded where they are not written: nobody looks at those that are.
        """
        if self.ABORT_AT_RECORD_COUNT is not None:
            yield from self._sample(self.ABORT_AT_RECORD_COUNT)
            return
        try:
            preparation = self.prepare()
        except PipelineError as error:
            self._fail(PartitionFailure(self.name, None, error))
            return
        self._d365_tap.prepare_ahead(self)
        self._tell_columns({p.name for p in self._entity.properties} - self._known_columns)
        self._stream_version, self._batches = self._transport(preparation.version)
        progress = Progress(self.name, len(preparation.jobs))
        self._begin(preparation)
        try:
            with self.get_record_counter() as counter, self.get_sync_timer():
                for job, portion, failure in preparation.in_turns():
                    if failure is not None:
                        progress.failed()
                        self._give_up(job, failure)
                    elif portion is None:
                        self._finish(job, anew=preparation.anew)
                        progress.ended()
                    else:
                        for group in self._emit(job, portion, write_messages=write_messages):
                            counter.increment(len(group))
                            if not write_messages:
                                yield from group
                        progress.portion(job.partition.name, portion)
        finally:
            preparation.release()
        self._end(preparation, write_messages=write_messages)
        with metrics.http_request_counter(self.name, _ENDPOINT) as requests:
            requests.increment(progress.pages)
        progress.finished()

    def _begin(self, preparation: Preparation) -> None:
        """Note in the state that everything is read again, where that is owed."""
        if preparation.anew:
            for job in preparation.jobs:
                removals.begin(self.state_of(job.partition))

    def _end(self, preparation: Preparation, *, write_messages: bool) -> None:
        """Say what has gone, where everything came, and write the state of the whole stream."""
        ended = not any(job.failed for job in preparation.jobs)
        version = self._stream_version if ended and write_messages else None
        told = version is not None or not self._source.settings.sends_versions
        for job in preparation.jobs:
            state = self.state_of(job.partition)
            job.partition.settle(state)
            if ended:
                removals.end(state, told=told)
        if write_messages:
            if version is not None:
                self._write_activate_version_message(version)
            self.state_manager.is_flushed = False
            self._write_state_message()

    def _sample(self, most: int) -> Generator[dict[str, Any], None, None]:
        """Emit a few rows, as ``--test`` wants; nothing is remembered of them."""
        left = most
        for partition in self.partitions_of(self._plan()):
            page = partition.sample(left)
            self._page_received_at = page.received_at
            for record in self._decoder.records(page.rows):
                self._write_record_message(record)
                yield record
            left -= len(page.rows)
            if left <= 0:
                return

    def _emit(self, job: Job, portion: Portion, *, write_messages: bool) -> Iterator[Sequence[Row]]:
        """Write one portion and let the state move behind it."""
        self._page_received_at = portion.received_at
        self._tell_news(job, portion)
        before = self._sent_totals()
        try:
            yield from (
                self._written(portion) if write_messages else _groups(self._records(portion))
            )
        except PipelineError as error:
            self._preparation.abandon(job)
            self._give_up(job, error)
            return
        job.rows += len(portion.rows)
        job.deletes += len(portion.deleted)
        job.pages += portion.pages
        job.totals = added(job.totals, growth(before, self._sent_totals()))
        job.moved.update(portion.state)
        # Half of a second reading must not pass for the whole: then the state moves at its end.
        if portion.state and not self._preparation.anew:
            self._move(job)
            if write_messages and (portion.rows or portion.deleted):
                self._write_state_message()

    def _tell_news(self, job: Job, portion: Portion) -> None:
        """Say what the environment sends and did not announce."""
        if (reader := job.partition.row_reader) is not None:
            self._tell_columns(reader.news)
        elif job.partition.is_whole and portion.rows and isinstance(row := portion.rows[0], dict):
            self._tell_columns(new_columns(self._entity, row))

    def _tell_columns(self, names: Iterable[str]) -> None:
        """Say once of columns that the environment publishes and that no record will have."""
        fresh = sorted(set(names) - self._told_columns)
        if not fresh:
            return
        self._told_columns.update(fresh)
        more = f" and {len(fresh) - _MOST_NAMES} more" if len(fresh) > _MOST_NAMES else ""
        self.logger.warning(
            "%s: the environment has columns that are not read, because they are not in the "
            "catalog: %s%s; run discovery again to get them",
            *(self.name, ", ".join(fresh[:_MOST_NAMES]), more),
        )
        self._source.ledger.append("columns.new", stream=self.name, columns=fresh)

    def _written(self, portion: Portion) -> Iterator[Sequence[Row]]:
        """Write the records of one portion, as files or as messages."""
        if self._batches is not None:
            if self._is_untouched and not portion.deleted:
                page = self._decoder.sendable(portion.rows)
                messages = self._batches.messages_of_untouched(page)
            else:
                records = list(self._records(portion))
                page, messages = records, self._batches.messages(records)
            for message in messages:
                self._tap.write_message(message)
            yield page
            _let_go(portion.rows)
        elif self._is_untouched:
            yield from self._written_together(portion)
        else:
            for group in _groups(self._records(portion)):
                for record in group:
                    self._write_record_message(record)
                yield group
            _let_go(portion.rows)

    def _written_together(self, portion: Portion) -> Iterator[Sequence[Row]]:
        """Write records that travel as they are read, without a message object each."""
        gone, rows = self._deletions(portion), portion.rows
        if not are_typed(rows):  # a page says as a whole how its numbers come
            for group in _groups(chain(gone, self._decoder.records(rows))):
                yield self._sent(group)
            _let_go(rows)
            return
        for group in _groups(gone):
            yield self._sent(group)
        for at in range(0, len(rows), _GROUP):
            yield self._sent(self._decoder.sendable(rows[at : at + _GROUP]))
            _let_go(rows, at, at + _GROUP)

    def _sent(self, records: Sequence[Row]) -> Sequence[Row]:
        self._d365_tap.writer.write_records(
            self.name,
            records,
            version=self._stream_version,
            time_extracted=self._page_received_at,
        )
        return records

    @cached_property
    def _is_untouched(self) -> bool:
        """Whether records travel as they are read: no map changes them, nothing is flattened."""
        return all(
            type(stream_map) is SameRecordTransform
            and not (stream_map.flattening_options and stream_map.flattening_enabled)
            for stream_map in self.stream_maps
        )

    def _transport(self, version: int | None) -> tuple[int | None, StreamBatches | None]:
        """The version to send, and the files to write in place of RECORD messages."""
        settings = self._source.settings
        config, sent = settings.batch_full_reads.applied(settings.batch, version)
        if settings.batch is not None and config is None:
            self.logger.info(
                "%s: as RECORD messages, because a BATCH cannot tell what is gone; see "
                "batch_full_reads",
                self.name,
            )
        if sent != version:
            self.logger.warning("%s: rows that are gone in F&O stay in the target", self.name)
        if config is None:
            return sent, None
        return sent, StreamBatches(config, self.stream_maps, self._d365_tap.audit, version=sent)

    def _sent_totals(self) -> Mapping[str, Decimal]:
        """Sums of what went out so far; nothing where a map makes several streams of this one."""
        aliases = {stream_map.stream_alias for stream_map in self.stream_maps}
        return self._d365_tap.audit.totals(aliases.pop()) if len(aliases) == 1 else {}

    def _give_up(self, job: Job, error: Exception) -> None:
        job.failed = True
        self._fail(PartitionFailure(self.name, job.partition.company, error))

    def _records(self, portion: Portion) -> Iterable[dict[str, Any]]:
        yield from self._deletions(portion)
        yield from self._decoder.records(portion.rows)

    def _deletions(self, portion: Portion) -> Iterator[dict[str, Any]]:
        for key in portion.deleted:
            yield {**self._decoder.key(key), DELETED_AT: portion.received_at.isoformat()}

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
        self._d365_tap.failed_in_a_row = 0
        self._source.ledger.append(
            "partition.read",
            stream=self.name,
            company=job.partition.company,
            strategy=job.partition.plan.strategy,
            rows=job.rows,
            deletes=job.deletes,
            pages=job.pages,
            totals=as_text(job.totals),
            **job.effort.told(),
        )

    def _fail(self, failure: PartitionFailure) -> None:
        """Note a failure and go on, where that makes sense and is wanted.

        Raises:
            Exception: the failure, when the run is to end with it.
        """
        if self._source.settings.fail_fast or is_fatal(failure.error):
            raise failure.error
        self._d365_tap.failures.append(failure)
        self._d365_tap.failed_in_a_row += 1
        if isinstance(failure.error, ConfigError | DataError):
            # A property may have been renamed or dropped since the metadata were cached.
            self._d365_tap.forget_metadata(self.name)
        self._source.ledger.append_failure(
            "partition.failed",
            stream=failure.stream,
            company=failure.company,
            error=type(failure.error).__name__,
            reason=str(failure.error)[:_REASON_LENGTH],
        )
        if is_down(self._d365_tap.failures, in_a_row=self._d365_tap.failed_in_a_row):
            raise summary(self._d365_tap.failures)
        self.logger.error("%s; the other partitions go on", failure)

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

    def snapshot_files(self) -> Iterator[Path]:
        """Files that the state names of what ``etag_scan`` remembers."""
        for partition in self.partitions_of(self._plan()):
            yield from partition.snapshot_files(self._known_of(partition))

    @property
    def entity(self) -> Entity:
        """The entity as it is read."""
        return self._entity

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company."""
        return self._entity.per_company

    def partitions_of(self, plan: ReadPlan) -> list[Partition]:
        """The partitions of this run: one a company, or one for a shared entity."""
        names = self._selected_names
        everything = len(names) == len(self._entity.properties) and not self._entity.partial
        chosen = tuple(p.name for p in self._entity.properties if p.name in names)
        reader = self._decoder.reader(whole=everything, etags=plan.needs_etags)
        return [
            Partition(
                source=self._source,
                entity=self._entity,
                plan=plan,
                settings=self._entity_settings,
                company=company,
                select=() if everything else chosen,
                expand=self._expanded,
                row_reader=reader,
            )
            for company in (self._source.companies if self._entity.per_company else (None,))
        ]

    @cached_property
    def _selected_names(self) -> frozenset[str]:
        mask = self.mask
        return frozenset(
            p.name
            for p in self._entity.properties
            if p.is_key
            or (p.name in self._known_columns and mask.get(("properties", p.name), True))
        )

    @cached_property
    def _expanded(self) -> tuple[str, ...]:
        """Navigation properties to read along: asked for by the settings, kept by the catalog."""
        columns = self.effective_schema["properties"]
        return tuple(
            name
            for name in self._entity_settings.expand
            if name in columns and self.mask.get(("properties", name), True)
        )

    @cached_property
    def _decoder(self) -> RowDecoder:
        return RowDecoder(
            self._entity,
            self._selected_names,
            null_sentinels=self._source.settings.null_sentinels,
            expand=self._expanded,
        )

    def _known_of(self, partition: Partition) -> dict[str, Any]:
        """What the state holds of the partition; nothing is created in it before its turn."""
        context = {COMPANY: partition.company} if partition.company else None
        return get_state_if_exists(self.tap_state, self.name, context) or {}

    def state_of(self, partition: Partition) -> dict[str, Any]:
        """The partition's own part of the state, to be changed in place."""
        context = {COMPANY: partition.company} if partition.company else None
        state: dict[str, Any] = self.get_context_state(context)
        return state


def _let_go(rows: list[Row], begin: int = 0, end: int | None = None) -> None:
    """Forget rows that have been sent; how many there were stays known."""
    rows[begin:end] = [_SENT] * len(rows[begin:end])


def _groups(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    iterator = iter(records)
    while group := list(islice(iterator, _GROUP)):
        yield group
