"""The SDK's view of a stream: a sink whose records go to segments at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk.exceptions import MissingKeyPropertiesError
from singer_sdk.sinks import Sink

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.schema import (
    AUDIT_LOADED_AT,
    AUDIT_ROW_HASH,
    AUDIT_RUN_ID,
    AUDIT_SOURCE,
    DELETED_AT,
    RECORD_METADATA,
    columns_of,
    require_keys,
)
from target_tableau_hyper.extract.staging import SegmentWriter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    import pyarrow as pa

    from target_tableau_hyper.target import HyperTarget


_AUDIT_PROPERTIES: dict[str, Any] = {
    AUDIT_RUN_ID: {"type": ["null", "string"]},
    AUDIT_SOURCE: {"type": ["null", "string"]},
    AUDIT_ROW_HASH: {"type": ["null", "string"]},
    AUDIT_LOADED_AT: {"type": ["null", "string"], "format": "date-time"},
}


class MissingKeyError(DataError, MissingKeyPropertiesError):
    """A record lacks a key property; the SDK's own class as well, for callers that expect it."""


class HyperSink(Sink):
    """One stream under one schema."""

    def __init__(
        self,
        target: HyperTarget,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
    ) -> None:
        """Learn the columns and join the stream's staging area."""
        super().__init__(target, stream_name, schema, key_properties)
        run = target.run
        if not run.settings.hard_delete:
            self.schema["properties"][DELETED_AT] = {
                "type": ["null", "string"],
                "format": "date-time",
            }
        self.columns = columns_of(
            stream_name, self.schema, doubles=run.settings.number_type == "double"
        )
        require_keys(self.columns, stream_name, self.key_properties)
        self.staged = run.staged_stream(stream_name)
        self.staged.adopt(self.columns, self.key_properties)
        self.writer = SegmentWriter(
            self.staged,
            self.schema,
            self.columns,
            self.key_properties,
            validate=run.settings.validate_records,
            max_digits=run.max_digits,
            budget=run.budget,
        )
        run.add_writer(stream_name, self.writer)
        if self.staged.quarantine and self.include_sdc_metadata_properties:
            self.staged.quarantine.added = RECORD_METADATA
        self._target = target
        self._reader = target.message_reader
        self._keys = tuple(self.key_properties)
        self._plain = not self.include_sdc_metadata_properties

    def get_validator(self) -> None:
        """No validator per record: segments are validated column by column."""

    @property
    def is_full(self) -> bool:
        """Never: segments are written by their own limits."""
        return False

    def take(self, record: dict[str, Any], message: dict[str, Any]) -> None:
        """Store one record that no map touches: the short way past the SDK's per-record steps."""
        if not self._plain:
            self._add_sdc_metadata_to_record(record, message, {})
        self._store(record, message.get("version"))

    def take_batch(self, batch: pa.RecordBatch, version: int | None) -> dict[str, Decimal] | None:
        """Store the rows of a file, whole columns at a time.

        Returns:
            The sums of the number columns; ``None``, and nothing stored, where the rows have to be
            looked at one by one.
        """
        if not self._plain:
            return None
        sums = self.writer.add_batch(batch, version=version)
        if sums is not None and version is not None:
            self.staged.received_version(version)
        return sums

    @property
    def takes_lines(self) -> bool:
        """Whether records may come as JSON text, many at a time."""
        return self._plain and self.writer.takes_lines

    def take_lines(
        self, batch: pa.RecordBatch | None, version: int | None
    ) -> dict[str, Decimal] | None:
        """Store records that came as JSON text and were read as columns.

        Returns:
            As :meth:`take_batch`.
        """
        sums = self.writer.add_lines(batch, version=version)
        if sums is not None and version is not None:
            self.staged.received_version(version)
        return sums

    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        """Store one record that came through stream maps or flattening."""
        del context  # the SDK's context does not know the message's version
        if self._target.deleted_at_in_hand is not None:
            # A map that names its columns drops the mark, and a deletion would pass for a row.
            record[DELETED_AT] = self._target.deleted_at_in_hand
        self._store(record, self._target.version_in_hand)

    def process_batch(self, context: dict[str, Any]) -> None:
        """Nothing waits in the sink."""

    def activate_version(self, new_version: int) -> None:
        """Rows that did not come with this version are to go when the run ends."""
        if new_version in self.staged.seen_versions:
            self.staged.activated = new_version
        else:
            self.staged.empty_activation = new_version

    def _store(self, record: dict[str, Any], version: int | None) -> None:
        if version is not None:
            self.staged.received_version(version)
        for key in self._keys:
            if key not in record:
                if self.writer.reject(record, key, "the record lacks its key property"):
                    return
                self._refuse_missing_key(record)
        self.writer.add(
            record,
            version=version,
            deleted=record.get(DELETED_AT) is not None,
            size=self._reader.line_bytes,
        )

    def _validate_and_parse(self, record: dict[str, Any]) -> dict[str, Any]:
        """Nothing: values are checked and parsed by column."""
        return record

    def _remove_sdc_metadata_from_record(self, record: dict[str, Any]) -> None:
        """Nothing: columns are picked by the schema, and the deletion mark is needed."""

    def _remove_sdc_metadata_from_schema(self) -> None:
        """Drop the metadata columns that a tap declares, without touching the tap's own schema."""
        properties = self.schema["properties"]
        own = RECORD_METADATA | {DELETED_AT}
        kept = {name: definition for name, definition in properties.items() if name not in own}
        self.schema = {**self.schema, "properties": kept}

    def _add_sdc_metadata_to_schema(self) -> None:
        """Add the metadata columns, without touching the tap's own schema."""
        self.schema = {**self.schema, "properties": dict(self.schema["properties"])}
        super()._add_sdc_metadata_to_schema()
        self.schema["properties"] |= _AUDIT_PROPERTIES

    def _add_sdc_metadata_to_record(
        self, record: dict[str, Any], message: dict[str, Any], context: dict[str, Any]
    ) -> None:
        """Add the SDK's metadata and ours; the hash follows when the values are converted."""
        super()._add_sdc_metadata_to_record(record, message, context)
        run = self._target.run
        record[AUDIT_RUN_ID] = run.run_id
        record[AUDIT_SOURCE] = self._reader.place
        record[AUDIT_LOADED_AT] = run.started_at

    def _singer_validate_message(self, record: dict[str, Any]) -> None:
        """Nothing: keys are looked for where a record is stored, whichever way it came."""

    def _refuse_missing_key(self, record: dict[str, Any]) -> None:
        missing = ", ".join(repr(key) for key in self._keys if key not in record)
        message = f"a record of stream {self.stream_name!r} lacks its key property {missing}"
        raise MissingKeyError(message)
