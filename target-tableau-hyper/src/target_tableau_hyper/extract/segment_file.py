"""The file that a stream's rows are being written to, and that becomes a segment.

Columns are stored under positions (``c0``, ``c1``, ...), because names with quotes, emoji or only a
difference in case are legal in Singer and Hyper, but not everywhere between them.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_core.files import sync_directory
from target_tableau_hyper.extract.behind import Behind
from target_tableau_hyper.extract.staged import Segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from target_tableau_hyper.extract.staged import SegmentColumn, StagedStream

#: A segment file is closed at this many rows and a new one begun.
SEGMENT_ROWS = 1_000_000

#: What every segment holds beside the stream's columns: order of arrival, ACTIVATE_VERSION's
#: version and whether the row is a deletion.
CONTROL_FIELDS = (
    pa.field("seq", pa.int64()),
    pa.field("version", pa.int64()),
    pa.field("deleted", pa.bool_()),
)


#: Nobody else touches a file that has been opened.
_WRITER = Behind()


class SegmentFile:
    """Appends rows; a file is begun anew when it is full, or rows of another shape come."""

    def __init__(self, staged: StagedStream) -> None:
        """Write for ``staged``; no file is created before the first rows."""
        self._staged = staged
        self._file: pq.ParquetWriter | None = None
        self._writing: Future[None] | None = None
        self._path: Path | None = None
        self._rows = 0
        #: What the file's columns are: later rows, which close it, may need more digits.
        self._columns: tuple[SegmentColumn, ...] = ()

    def write(
        self,
        arrays: Sequence[pa.Array],
        columns: tuple[SegmentColumn, ...],
        *,
        versions: pa.Array,
        deleted: pa.Array,
    ) -> None:
        """Append rows.

        Args:
            arrays: One for each column.
            columns: What they are.
            versions: Of each row.
            deleted: Whether each row is a deletion.

        Raises:
            OSError: the disk did not take the rows of the call before.
        """
        self.check()
        first, count = self._staged.rows, len(deleted)
        fields = [pa.field(f"c{i}", array.type) for i, array in enumerate(arrays)]
        schema = pa.schema([*fields, *CONTROL_FIELDS])
        order = pa.array(range(first, first + count), pa.int64())
        if self._file is not None and (
            not self._file.schema.equals(schema) or self._rows + count > SEGMENT_ROWS
        ):
            self.close()
        if self._file is None:
            self._open(schema)
        assert self._file is not None  # noqa: S101 - opened above
        batch = pa.RecordBatch.from_arrays([*arrays, order, versions, deleted], schema=schema)
        self._settle()
        self._writing = _WRITER.submit(self._file.write_batch, batch)
        self._rows += count
        self._columns = columns

    def close(self) -> None:
        """Finish the file; it is on disk when this returns.

        Raises:
            OSError: the disk does not take it.
        """
        if self._file is None or self._path is None:
            return
        self._settle()
        _WRITER.finish(self._file.close)
        self._file = None
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
        sync_directory(self._path.parent)
        self._staged.segments.append(Segment(self._path, self._columns, self._rows))

    def abandon(self) -> None:
        """Let go of the file without finishing it."""
        if self._file is not None:
            if self._writing is not None:
                self._writing.cancel()
            # A full disk must not hide why the run is given up.
            with suppress(OSError, pa.ArrowException):
                _WRITER.finish(self._file.close)
            self._file = None

    def check(self) -> None:
        """Tell of rows that the disk has not taken, as far as that is known.

        Raises:
            OSError: of the call before.
        """
        if self._writing is not None and self._writing.done():
            self._settle()

    def _settle(self) -> None:
        """Wait for the group that is being written."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _open(self, schema: pa.Schema) -> None:
        number = len(self._staged.segments)
        self._staged.directory.mkdir(parents=True, exist_ok=True)
        self._path = self._staged.directory / f"{number:06d}.parquet"
        # Dictionaries would take more time than writing does, and no less room than snappy alone;
        # nobody asks for statistics.
        self._file = pq.ParquetWriter(
            self._path,
            schema,
            compression="snappy",
            use_dictionary=False,
            write_statistics=False,
        )
        self._rows = 0
