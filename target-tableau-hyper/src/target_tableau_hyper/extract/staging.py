"""Segments: received rows as Parquet files, until the whole run has arrived.

Rows wait in memory only until a chunk of them is worth writing, so memory stays constant at any
volume. Columns are stored under positions (``c0``, ``c1``, ...), because names with quotes, emoji
or only a difference in case are legal in Singer and Hyper, but not everywhere between them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_core.errors import DataError
from pipeline_core.files import sync_directory
from target_tableau_hyper.extract.arrow_columns import convert, decimals, exact_sum
from target_tableau_hyper.extract.arrow_rows import NoRecordError, json_values, structured
from target_tableau_hyper.extract.exact import ExactReader, UnfitError, json_text
from target_tableau_hyper.extract.figures import EXACT, ZERO
from target_tableau_hyper.extract.json_lines import JsonLines
from target_tableau_hyper.extract.row_hash import row_hashes
from target_tableau_hyper.extract.schema import (
    AUDIT_ROW_HASH,
    DELETED_AT,
    RECORD_METADATA,
    Kind,
)
from target_tableau_hyper.extract.validation import LeftoverCheck
from target_tableau_hyper.extract.values import (
    ARROW_TYPES,
    MAX_DIGITS,
    MIN_SCALE,
    UnfitAtError,
    float_advice,
    numeric_to_arrow,
    to_arrow,
    whole_digits,
    wide_integers,
    widest,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    from target_tableau_hyper.extract.quarantine import Quarantine
    from target_tableau_hyper.extract.schema import Column

#: A chunk is written when it has this many rows or this much JSON text, whichever comes first.
#: Parsed records take about five times their text in memory.
CHUNK_ROWS = 20_000
CHUNK_BYTES = 8 * 2**20

#: After each group in a row that had to be read one by one, twice as many are read so at once, and
#: after so many doublings no more than that.
_MOST_DOUBLINGS = 6

#: A segment file is closed at this many rows and a new one begun.
SEGMENT_ROWS = 1_000_000

#: What every segment holds beside the stream's columns: order of arrival, ACTIVATE_VERSION's
#: version and whether the row is a deletion.
CONTROL_FIELDS = (
    pa.field("seq", pa.int64()),
    pa.field("version", pa.int64()),
    pa.field("deleted", pa.bool_()),
)


@dataclass(frozen=True, slots=True)
class SegmentColumn:
    """A column as one segment holds it: for decimals, with the digits that its values need."""

    column: Column
    whole_digits: int = 0
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """One finished file of rows.

    Attributes:
        path: The Parquet file, flushed to disk.
        columns: What ``c0``, ``c1``, ... are.
        rows: How many rows it has.
    """

    path: Path
    columns: tuple[SegmentColumn, ...]
    rows: int


@dataclass(slots=True)
class StagedStream:
    """Everything received of one stream in this run.

    Attributes:
        stream: Its name after stream maps.
        keys: Key properties of the latest SCHEMA.
        columns: Columns of all schemas of the run in order of appearance, the latest definition.
        segments: Finished files in order of arrival.
        rows: Rows received.
        totals: Exact sums of the integer and decimal columns over all of them.
        deletions: How many of them stand for deletions.
        unversioned: How many of them carry no version.
        activated: Version of the last ACTIVATE_VERSION that counts, if any came. One counts when it
            ends the records of its version; before them it is an announcement.
        empty_activation: Version of an ACTIVATE_VERSION without records, which would empty the
            table.
        seen_versions: Versions of the records so far.
        quarantine: Takes records that do not fit; without one they end the run.
    """

    stream: str
    directory: Path
    keys: tuple[str, ...] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    segments: list[Segment] = field(default_factory=list)
    rows: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)
    deletions: int = 0
    unversioned: int = 0
    activated: int | None = None
    empty_activation: int | None = None
    seen_versions: set[int] = field(default_factory=set)
    quarantine: Quarantine | None = None

    def adopt(self, columns: Sequence[Column], keys: Sequence[str]) -> None:
        """Take a SCHEMA's columns and keys as the ones that hold from now on."""
        self.keys = tuple(keys)
        self.columns.update({column.name: column for column in columns})

    def count(
        self, rows: int, sums: Mapping[str, Decimal], *, deleted: pa.Array, versions: pa.Array
    ) -> None:
        """Rows have been written, with these sums, marks and versions."""
        self.rows += rows
        self.deletions += deleted.true_count
        self.unversioned += versions.null_count
        for name, total in sums.items():
            self.totals[name] = EXACT.add(self.totals.get(name, ZERO), total)

    def received_version(self, version: int) -> None:
        """A record of ``version`` came: an activation of it before does not count for this one."""
        self.seen_versions.add(version)
        if self.activated == version:
            self.activated = None
        if self.empty_activation == version:
            self.empty_activation = None


@dataclass(slots=True)
class Budget:
    """What all writers of a run together may keep in memory, in bytes of JSON text."""

    limit: int = 64 * 2**20
    waiting: int = 0
    writers: list[SegmentWriter] = field(default_factory=list)

    def relieve(self) -> None:
        """Write what waits, of all streams."""
        for writer in self.writers:
            writer.write_chunk()


class SegmentWriter:
    """Takes the records of one stream under one schema and writes them as segments."""

    def __init__(
        self,
        staged: StagedStream,
        schema: Mapping[str, Any],
        columns: Sequence[Column],
        keys: Sequence[str],
        *,
        validate: bool,
        max_digits: int,
        budget: Budget,
    ) -> None:
        """Prepare; no file is created before the first chunk.

        Raises:
            DataError: ``validate`` is set and the schema is no valid JSON Schema.
        """
        self._staged = staged
        self._columns = tuple(columns)
        self._names = [column.name for column in columns]
        self._known = frozenset(self._names) | RECORD_METADATA | {DELETED_AT}
        self._keys = tuple(keys)
        self._validate = validate
        self._max_digits = max_digits
        self._budget = budget
        budget.writers.append(self)
        self._leftover = LeftoverCheck(staged.stream, schema, columns) if validate else None
        self._structured = structured(schema)
        self._lines = JsonLines(columns, strict=validate)
        self._refusals = self._lines_to_skip = 0
        self._records: list[dict[str, Any]] = []
        self._versions: list[int | None] = []
        self._deleted: list[bool] = []
        self._bytes = 0
        self._scales = [MIN_SCALE] * len(self._columns)
        self._whole = [0] * len(self._columns)
        #: Integer columns that have had values of more than 64 bits, and are decimals since.
        self._wide: set[int] = set()
        self._file: pq.ParquetWriter | None = None
        self._path: Path | None = None
        self._file_rows = 0
        #: What the file's columns are: a later chunk, which closes it, may need more digits.
        self._file_columns: tuple[SegmentColumn, ...] = ()
        #: Properties of records that the schema does not have, and that are therefore dropped.
        self.unknown: set[str] = set()

    def add(self, record: dict[str, Any], *, version: int | None, deleted: bool, size: int) -> None:
        """Take one record.

        Args:
            record: Property values; not changed.
            version: The RECORD's ``version``.
            deleted: Whether it stands for a deletion.
            size: Length of its JSON text, for the memory bound.
        """
        self._records.append(record)
        self._versions.append(version)
        self._deleted.append(deleted)
        self._bytes += size
        self._budget.waiting += size
        if self._budget.waiting > self._budget.limit:
            self._budget.relieve()
        elif len(self._records) >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            self.write_chunk()

    def write_chunk(self) -> None:
        """Move the waiting rows to the file.

        Raises:
            DataError: a value does not fit; names stream, column and key.
        """
        if not self._records:
            return
        arrays = self._arrays()
        if self._records:
            for record in self._records:
                if not self._known.issuperset(record):
                    self.unknown.update(record.keys() - self._known)
            self._write(
                arrays,
                pa.array(self._versions, pa.int64()),
                pa.array(self._deleted, pa.bool_()),
            )
        self._forget()

    def add_batch(self, batch: pa.RecordBatch, *, version: int | None) -> dict[str, Decimal] | None:
        """Write rows that came as columns, where that means the same as taking them one by one.

        Args:
            batch: The rows; none of them may be a deletion.
            version: The version that they came with.

        Returns:
            Sums of the number columns, or ``None``: nothing was written, take them one by one.

        Raises:
            DataError: a row that waits, and came before, does not fit.
        """
        return self._add_columns(batch, version, nulls_may_be_absent=True)

    def add_lines(
        self, records: Sequence[bytes], *, version: int | None
    ) -> dict[str, Decimal] | None:
        """Write records that came as lines of JSON, as columns where that means the same.

        Args:
            records: JSON objects, each on a line of its own.
            version: The version of all of them.

        Returns:
            Sums of the number columns, or ``None``: nothing was written, take them one by one.

        Raises:
            DataError: a row that waits, and came before, does not fit.
        """
        if not self.takes_lines:
            return None
        if self._lines_to_skip:
            self._lines_to_skip -= 1
            return None
        batch = self._lines.read(records, self._scales)
        sums = None
        if batch is not None:
            sums = self._add_columns(batch, version, nulls_may_be_absent=False)
        # A tap that breaks its own schema in every group shall not pay twice for each.
        self._refusals = 0 if sums is not None else self._refusals + 1
        self._lines_to_skip = 2 ** min(max(0, self._refusals - 1), _MOST_DOUBLINGS) - 1
        return sums

    @property
    def takes_lines(self) -> bool:
        """Whether :meth:`add_lines` may take any at all."""
        return (
            self._lines.is_possible
            and not self._wide
            and AUDIT_ROW_HASH not in self._names
            and (self._leftover is None or not self._leftover.needed)
        )

    def _add_columns(
        self, batch: pa.RecordBatch, version: int | None, *, nulls_may_be_absent: bool
    ) -> dict[str, Decimal] | None:
        self.write_chunk()  # what came before stays before
        arrays = self._columns_of(batch, nulls_may_be_absent=nulls_may_be_absent)
        if arrays is None:
            return None
        for name in batch.schema.names:
            if name not in self._known:
                self.unknown.add(name)
        count = batch.num_rows
        return self._write(
            arrays,
            pa.repeat(pa.scalar(version, pa.int64()), count),
            pa.repeat(pa.scalar(value=False), count),
        )

    def _columns_of(
        self, batch: pa.RecordBatch, *, nulls_may_be_absent: bool
    ) -> list[pa.Array] | None:
        """The batch in the types of the segment; ``None`` where rows must be looked at singly."""
        if self._leftover is not None and self._leftover.needed:
            return None
        there = dict(zip(batch.schema.names, batch.columns, strict=True))
        if len(there) < batch.num_columns or self._is_special(there):
            return None
        arrays, whole, scales = [], list(self._whole), list(self._scales)
        for index, column in enumerate(self._columns):
            array = there.get(column.name)
            if array is None:
                array = pa.nulls(batch.num_rows, pa.null())
            try:
                made = self._column_of(index, column, array)
            except (NoRecordError, ValueError, OverflowError):
                return None  # which of its rows it is, and its key, the other way tells
            if made.null_count and not self._may_be_null(column, absent=nulls_may_be_absent):
                return None
            if pa.types.is_decimal(made.type):
                whole[index] = max(whole[index], whole_digits(made))
                scales[index] = made.type.scale
                if whole[index] + scales[index] > self._max_digits:
                    return None
            arrays.append(made)
        self._whole, self._scales = whole, scales
        return arrays

    def _may_be_null(self, column: Column, *, absent: bool) -> bool:
        """Whether nulls of ``column`` are fine, which may be ``absent`` properties."""
        if column.name in self._keys:
            return False
        return absent or column.nullable or not self._validate

    def _is_special(self, there: Mapping[str, pa.Array]) -> bool:
        """Deletions, hashes of rows, and floats, whose exact sum their column does not keep."""
        marks = there.get(DELETED_AT)
        return (
            (marks is not None and marks.null_count < len(marks))
            or AUDIT_ROW_HASH in self._names
            or any(column.kind is Kind.DOUBLE for column in self._columns)
        )

    def _column_of(self, index: int, column: Column, array: pa.Array) -> pa.Array:
        """One column: whole where its type says what its values mean, otherwise value by value.

        Raises:
            UnfitAtError: a value does not fit, or they must be looked at singly.
            NoRecordError, ValueError: a value has no form in JSON.
        """
        is_decimal = index in self._wide or column.kind is Kind.NUMERIC
        scale = self._scales[index]
        if index in self._wide and not pa.types.is_integer(array.type):
            raise UnfitAtError(0, "whether these are integers, each value must tell")
        if pa.types.is_null(array.type):
            return pa.nulls(
                len(array),
                pa.decimal128(MAX_DIGITS, scale) if is_decimal else ARROW_TYPES[column.kind],
            )
        is_structured = column.name in self._structured
        if not is_structured:
            made = decimals(array, scale) if is_decimal else convert(array, column.kind)
            if made is not None:
                return made
        values = json_values(array, is_structured=is_structured)
        if is_decimal:
            return numeric_to_arrow(values, scale, strict=self._validate, column=column)
        return to_arrow(column, values, strict=self._validate)

    def _write(
        self, arrays: list[pa.Array], versions: pa.Array, deleted: pa.Array
    ) -> dict[str, Decimal]:
        """Append rows to the file; one of another shape is begun anew.

        Returns:
            Sums of the number columns.
        """
        sums = {
            column.name: exact_sum(array) or ZERO
            for column, array in zip(self._columns, arrays, strict=True)
            if pa.types.is_integer(array.type) or pa.types.is_decimal(array.type)
        }
        first, count = self._staged.rows, len(deleted)
        fields = [pa.field(f"c{i}", array.type) for i, array in enumerate(arrays)]
        schema = pa.schema([*fields, *CONTROL_FIELDS])
        arrays = [*arrays, pa.array(range(first, first + count), pa.int64()), versions, deleted]
        if self._file is not None and (
            not self._file.schema.equals(schema) or self._file_rows + count > SEGMENT_ROWS
        ):
            self._close_file()
        if self._file is None:
            self._open_file(schema)
        assert self._file is not None  # noqa: S101 - opened above
        self._file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        self._file_rows += count
        self._file_columns = self._as_they_are()
        self._staged.count(count, sums, deleted=deleted, versions=versions)
        return sums

    def _forget(self) -> None:
        """Nothing waits any more."""
        self._budget.waiting -= self._bytes
        self._records, self._versions, self._deleted, self._bytes = [], [], [], 0

    def reject(self, record: dict[str, Any], column: str | None, reason: str) -> bool:
        """Set a record aside, where that is wanted; otherwise ``False``."""
        quarantine = self._staged.quarantine
        if quarantine is None:
            return False
        named = {column.name: column for column in self._columns}
        keys = [named[key] for key in self._keys if key in named]
        quarantine.take(record, keys, column=column, reason=reason)
        return True

    def _arrays(self) -> list[pa.Array]:
        """The waiting rows as columns; rows that do not fit are set aside, one after the other.

        Raises:
            DataError: a value does not fit, and nothing is set aside.
        """
        while True:
            try:
                if self._validate:
                    self._check_records()
                arrays = [self._array(index, column) for index, column in enumerate(self._columns)]
            except _BadRecordError as bad:
                if self._staged.quarantine is None:
                    raise bad.as_data_error() from None
                for position, reason in sorted(self._all_like(bad).items(), reverse=True):
                    self.reject(self._records[position], bad.column, reason)
                    for waiting in (self._records, self._versions, self._deleted):
                        del waiting[position]
            else:
                return self._hashed(arrays)

    def _hashed(self, arrays: list[pa.Array]) -> list[pa.Array]:
        """The columns, with the rows' hashes where these are wanted."""
        if AUDIT_ROW_HASH in self._names:
            own = {
                name: array
                for name, array in zip(self._names, arrays, strict=True)
                if name not in RECORD_METADATA and name != DELETED_AT
            }
            arrays[self._names.index(AUDIT_ROW_HASH)] = row_hashes(own)
        return arrays

    def _all_like(self, bad: _BadRecordError) -> dict[int, str]:
        """All waiting rows that are bad in the same place: one pass, however many there are."""
        found = {bad.position: str(bad)}
        if bad.column is None:
            for position, record in enumerate(self._records):
                fault = self._leftover.fault(record) if self._leftover else None
                if fault is not None and not self._deleted[position]:
                    found[position] = fault
            return found
        (column,) = (one for one in self._columns if one.name == bad.column)
        reader = ExactReader(column, strict=self._validate)
        for position, record in enumerate(self._records):
            value = record.get(column.name)
            try:
                if value is None:
                    continue
                if column.kind is Kind.INTEGER:  # more than 64 bits are no fault, see _integers
                    number = reader.integer(value, wide=True)
                    if abs(number) >= 10**self._max_digits and not -(2**63) <= number < 2**63:
                        found[position] = "the integer has more digits than a NUMERIC takes"
                else:
                    reader.read(value)
            except UnfitError as error:
                found[position] = str(error)
        return found

    def close(self) -> None:
        """Write what waits and finish the file."""
        self.write_chunk()
        self._close_file()

    def abandon(self) -> None:
        """Let go of rows and file without finishing them."""
        self._records = []
        if self._file is not None:
            # A full disk must not hide why the run is given up.
            with suppress(OSError, pa.ArrowException):
                self._file.close()
            self._file = None

    def _array(self, index: int, column: Column) -> pa.Array:
        name = column.name
        values = [record.get(name) for record in self._records]
        try:
            if index in self._wide or column.kind is Kind.NUMERIC:
                array = self._numeric(index, column, values)
            elif column.kind is Kind.INTEGER:
                array = self._integers(index, column, values)
            else:
                array = to_arrow(column, values, strict=self._validate)
        except UnfitAtError as error:
            raise self._data_error(column, error.position, str(error)) from None
        if array.null_count and name in self._keys:
            position = array.is_null().index(pa.scalar(value=True)).as_py()
            raise self._data_error(column, position, "a key property is null")
        if array.null_count and self._validate and not column.nullable:
            self._check_nulls(column)
        return array

    def _integers(self, index: int, column: Column, values: list[Any]) -> pa.Array:
        """Integers; from the first on that has more than 64 bits, as decimals."""
        try:
            return to_arrow(column, values, strict=self._validate)
        except UnfitAtError:
            wide_integers(values, strict=self._validate, column=column)  # or else it is a bad one
            self._wide.add(index)
            return self._numeric(index, column, values)

    def _numeric(self, index: int, column: Column, values: list[Any]) -> pa.Array:
        """Decimals, as long as the column's digits so far and these fit into one NUMERIC."""
        if index in self._wide:
            array = wide_integers(values, strict=self._validate, column=column)
        else:
            array = numeric_to_arrow(
                values, self._scales[index], strict=self._validate, column=column
            )
        whole, scale = max(self._whole[index], whole_digits(array)), array.type.scale
        if whole + scale > self._max_digits:
            position = widest(values, by_scale=whole == self._whole[index])
            reason = (
                f"the column would need {whole} digits before and {scale} after the decimal point, "
                f"more than the {self._max_digits} of a NUMERIC in this file format (hyper_version)"
                f"{float_advice(column)}"
            )
            raise UnfitAtError(position, reason)
        self._whole[index], self._scales[index] = whole, scale
        return array

    def _check_nulls(self, column: Column) -> None:
        """A missing property is fine; an explicit null needs a schema that allows it."""
        missing = object()
        for position, record in enumerate(self._records):
            if record.get(column.name, missing) is None and not self._deleted[position]:
                raise self._data_error(column, position, "null, which its schema does not allow")

    def _check_records(self) -> None:
        """What the columns do not check; deletions carry keys only and are exempt."""
        if self._leftover is None or not self._leftover.needed:
            return
        for position, record in enumerate(self._records):
            if self._deleted[position]:
                continue
            fault = self._leftover.fault(record)
            if fault is not None:
                message = (
                    f"stream {self._staged.stream!r}, {self._where(position)}: {fault}; correct "
                    "the tap's schema, or set validate_records to false to store what fits its "
                    "column"
                )
                raise _BadRecordError(position, None, fault, message)

    def _data_error(self, column: Column, position: int, reason: str) -> _BadRecordError:
        message = (
            f"stream {self._staged.stream!r}, column {column.name!r}, {self._where(position)}: "
            f"{reason}"
        )
        return _BadRecordError(position, column.name, reason, message)

    def _where(self, position: int) -> str:
        """The record's key, and nothing else of it."""
        if not self._keys:
            return f"record number {self._staged.rows + position + 1}"
        record = self._records[position]
        return f"key {json_text({key: record.get(key) for key in self._keys})}"

    def _open_file(self, schema: pa.Schema) -> None:
        number = len(self._staged.segments)
        self._staged.directory.mkdir(parents=True, exist_ok=True)
        self._path = self._staged.directory / f"{number:06d}.parquet"
        # Dictionaries would take more time than writing does, and no less room than snappy alone.
        self._file = pq.ParquetWriter(
            self._path, schema, compression="snappy", use_dictionary=False
        )
        self._file_rows = 0

    def _close_file(self) -> None:
        if self._file is None or self._path is None:
            return
        self._file.close()
        self._file = None
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        sync_directory(self._path.parent)
        self._staged.segments.append(Segment(self._path, self._file_columns, self._file_rows))

    def _as_they_are(self) -> tuple[SegmentColumn, ...]:
        """The columns with the digits that the rows written so far need."""
        return tuple(
            SegmentColumn(replace(column, kind=Kind.NUMERIC), self._whole[i], self._scales[i])
            if i in self._wide or column.kind is Kind.NUMERIC
            else SegmentColumn(column)
            for i, column in enumerate(self._columns)
        )


class _BadRecordError(Exception):
    """One of the waiting rows does not fit."""

    def __init__(self, position: int, column: str | None, reason: str, message: str) -> None:
        super().__init__(reason)
        self.position = position
        self.column = column
        self._message = message

    def as_data_error(self) -> DataError:
        return DataError(self._message)


def clear_staging(root: Path) -> list[str]:
    """Remove what earlier runs left behind; call it only under the directory's lock.

    Returns:
        The run ids of the leftovers.
    """
    left = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    shutil.rmtree(root, ignore_errors=True)
    return left
