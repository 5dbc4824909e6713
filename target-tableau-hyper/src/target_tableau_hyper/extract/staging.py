"""Received rows on their way to segments.

Rows wait in memory only until a chunk of them is worth writing, so memory stays constant at any
volume.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from target_tableau_hyper.extract.arrow_columns import exact_sum
from target_tableau_hyper.extract.digits import Digits
from target_tableau_hyper.extract.figures import ZERO
from target_tableau_hyper.extract.json_lines import JsonLines
from target_tableau_hyper.extract.record_columns import RecordColumns, Waiting
from target_tableau_hyper.extract.schema import DELETED_AT, RECORD_METADATA
from target_tableau_hyper.extract.segment_file import SegmentFile
from target_tableau_hyper.extract.validation import LeftoverCheck
from target_tableau_hyper.extract.whole_columns import WholeColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from target_tableau_hyper.extract.schema import Column
    from target_tableau_hyper.extract.staged import StagedStream

#: A chunk is written when it has this many rows or this much JSON text, whichever comes first.
#: Parsed records take about five times their text in memory.
CHUNK_ROWS = 20_000
CHUNK_BYTES = 8 * 2**20

#: After each group in a row that had to be read one by one, twice as many are read so at once, and
#: after so many doublings no more than that.
_MOST_DOUBLINGS = 6


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
        self._known = frozenset(column.name for column in columns) | RECORD_METADATA | {DELETED_AT}
        self._budget = budget
        budget.writers.append(self)
        leftover = LeftoverCheck(staged.stream, schema, columns) if validate else None
        self._digits = Digits(columns, max_digits)
        self._singly = RecordColumns(
            staged, columns, keys, self._digits, strict=validate, leftover=leftover
        )
        self._whole = WholeColumns(
            schema,
            columns,
            keys,
            self._digits,
            strict=validate,
            leftover=leftover,
        )
        self._lines = JsonLines(columns, strict=validate)
        self._refusals = self._lines_to_skip = 0
        self._waiting = Waiting()
        self._bytes = 0
        self._file = SegmentFile(staged)
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
        waiting = self._waiting
        waiting.records.append(record)
        waiting.versions.append(version)
        waiting.deleted.append(deleted)
        self._bytes += size
        self._budget.waiting += size
        if self._budget.waiting > self._budget.limit:
            self._budget.relieve()
        elif len(waiting.records) >= CHUNK_ROWS or self._bytes >= CHUNK_BYTES:
            self.write_chunk()

    def write_chunk(self) -> None:
        """Move the waiting rows to the file.

        Raises:
            DataError: a value does not fit; names stream, column and key.
        """
        waiting = self._waiting
        if not waiting.records:
            return
        self._file.check()
        arrays = self._singly.of(waiting)
        if waiting.records:
            for record in waiting.records:
                if not self._known.issuperset(record):
                    self.unknown.update(record.keys() - self._known)
            self._write(
                arrays,
                pa.array(waiting.versions, pa.int64()),
                pa.array(waiting.deleted, pa.bool_()),
            )
        self._budget.waiting -= self._bytes
        self._waiting, self._bytes = Waiting(), 0

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

    def reading(self, records: Sequence[bytes]) -> Callable[[], pa.RecordBatch | None] | None:
        """What reads records that came as lines of JSON as columns; it may run in another thread.

        Until what it returns is given to :meth:`add_lines`, nothing else may be added.

        Args:
            records: JSON objects, each on a line of its own.

        Returns:
            ``None`` where it is not worth trying: take them one by one.
        """
        if not self.takes_lines:
            return None
        if self._lines_to_skip:
            self._lines_to_skip -= 1
            return None
        return partial(self._lines.read, records, tuple(self._digits.scales))

    def add_lines(
        self, batch: pa.RecordBatch | None, *, version: int | None
    ) -> dict[str, Decimal] | None:
        """Write records that came as lines of JSON, where that means the same as one by one.

        Args:
            batch: What :meth:`reading` made of them.
            version: The version of all of them.

        Returns:
            As :meth:`add_batch`.

        Raises:
            DataError: a row that waits, and came before, does not fit.
        """
        sums = None
        if batch is not None:
            sums = self._add_columns(batch, version, nulls_may_be_absent=False)
        # A tap that breaks its own schema in every group shall not pay twice for each.
        self._refusals = 0 if sums is not None else self._refusals + 1
        self._lines_to_skip = 2 ** min(max(0, self._refusals - 1), _MOST_DOUBLINGS) - 1
        return sums

    @property
    def takes_lines(self) -> bool:
        """Whether lines may be read as columns at all."""
        return self._lines.is_possible and self._whole.are_possible and not self._digits.wide

    def close(self) -> None:
        """Write what waits and finish the file."""
        self.write_chunk()
        self._file.close()

    def abandon(self) -> None:
        """Let go of rows and file without finishing them."""
        self._waiting = Waiting()
        self._file.abandon()

    def reject(self, record: dict[str, Any], column: str | None, reason: str) -> bool:
        """Set a record aside, where that is wanted; otherwise ``False``."""
        return self._singly.reject(record, column, reason)

    def _add_columns(
        self, batch: pa.RecordBatch, version: int | None, *, nulls_may_be_absent: bool
    ) -> dict[str, Decimal] | None:
        self._file.check()  # a fault of the disk is told before one of the data
        self.write_chunk()  # what came before stays before
        arrays = self._whole.of(batch, nulls_may_be_absent=nulls_may_be_absent)
        if arrays is None:
            return None
        self.unknown.update(name for name in batch.schema.names if name not in self._known)
        count = batch.num_rows
        return self._write(
            arrays,
            pa.repeat(pa.scalar(version, pa.int64()), count),
            pa.repeat(pa.scalar(value=False), count),
        )

    def _write(
        self, arrays: list[pa.Array], versions: pa.Array, deleted: pa.Array
    ) -> dict[str, Decimal]:
        """Append rows to the file; returns the sums of the number columns."""
        sums = {
            column.name: exact_sum(array) or ZERO
            for column, array in zip(self._columns, arrays, strict=True)
            if pa.types.is_integer(array.type) or pa.types.is_decimal(array.type)
        }
        self._file.write(arrays, self._digits.columns(), versions=versions, deleted=deleted)
        self._staged.count(len(deleted), sums, deleted=deleted, versions=versions)
        return sums
