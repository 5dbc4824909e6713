"""Prove a finished copy through a second engine before it may take the extract's place.

hyperd wrote it, so hyperd's word is not enough: pantab brings its own, older hyperd, which counts
the rows and adds the columns up again. What it finds must equal what "before plus delta" demands.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pantab
import pyarrow as pa

from pipeline_core.errors import IntegrityError, TransientError
from target_tableau_hyper.extract.arrow_columns import exact_sum
from target_tableau_hyper.extract.engine import TABLE, quote
from target_tableau_hyper.extract.figures import EXACT, ZERO, Figures, numerics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.layout import TableColumn

#: Rows that are in memory at a time.
_CHUNK_ROWS = 100_000


def read_back(path: Path, columns: Sequence[TableColumn], *, table: str = TABLE) -> Figures:
    """Rows and sums of the NUMERIC columns as pantab reads them; nobody may write to the file.

    Raises:
        TransientError: the file cannot be read; no content is told.
    """
    try:
        return _read_back(path, columns, table)
    except RuntimeError as error:  # what pantab raises for anything that its hyperd says
        told = str(error).partition("DatabaseId")[0].strip(" :")[:200]
        message = (
            f"{path.name} cannot be read back ({told}); nothing was published, check free disk "
            "space and memory, then run again"
        )
        raise TransientError(message) from error


def _read_back(path: Path, columns: Sequence[TableColumn], table: str) -> Figures:
    names = numerics(columns)
    try:
        return _added_up(path, names, table)
    except RuntimeError as error:
        if "overflow" not in str(error):
            raise
        return _streamed(path, names, table)


def _added_up(path: Path, names: Sequence[str], table: str) -> Figures:
    """What the second engine counts and adds up: memory does not grow with the rows.

    Raises:
        RuntimeError: among others, a sum has more than the 38 digits that it adds up in.
    """
    # The values go through SQL, because pantab takes a table name of two letters for a schema and a
    # table.
    sums = "".join(f", sum({quote(name)}) AS c{i}" for i, name in enumerate(names))
    query = f"SELECT count(*) AS rows{sums} FROM {table}"  # noqa: S608 - quoted
    found = pantab.frame_from_hyper_query(path, query, return_type="pyarrow")
    (row,) = found.to_pylist()
    totals = {name: Decimal(row[f"c{i}"] or ZERO) for i, name in enumerate(names)}
    return Figures(row["rows"], totals)


def _streamed(path: Path, names: Sequence[str], table: str) -> Figures:
    """The same with sums of any size; pantab keeps about 20 bytes of each value until the end."""
    values = ", ".join(map(quote, names))
    stream = pantab.frame_from_hyper_query(
        path,
        f"SELECT {values} FROM {table}",  # noqa: S608 - quoted
        return_type="stream",
        chunk_size=_CHUNK_ROWS,
    )
    rows, totals = 0, dict.fromkeys(names, ZERO)
    for batch in pa.RecordBatchReader.from_stream(stream):
        rows += batch.num_rows
        for name, array in zip(names, batch.columns, strict=False):
            totals[name] = EXACT.add(totals[name], exact_sum(array) or ZERO)
    return Figures(rows, totals)


def prove(stream: str, path: Path, columns: Sequence[TableColumn], expected: Figures) -> Figures:
    """Compare the copy with what it must hold.

    Returns:
        The figures that were read back.

    Raises:
        IntegrityError: names every figure that differs.
    """
    found = read_back(path, columns)
    differences = expected.differences(found)
    if differences:
        message = (
            f"the extract of stream {stream!r} does not hold what was merged into it: expected "
            f"{'; '.join(differences[:5])} read back; nothing was replaced or published, run again"
        )
        raise IntegrityError(message)
    return found
