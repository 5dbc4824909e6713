"""One digest for all rows of an extract, whatever their order and the file's bytes.

Two files with the same rows have the same digest, although hyperd never writes the same bytes
twice. It is the sum, modulo 2^128, of the rows' hashes (:mod:`extract.row_hash`); the target's own
columns do not count.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pantab
import pyarrow as pa

from pipeline_core.errors import TransientError
from target_tableau_hyper.extract.engine import TABLE, listing
from target_tableau_hyper.extract.row_hash import row_hashes

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Rows that are in memory at a time. Hashing them in Python takes 40 s for a million rows of 30
#: columns, so larger pieces would not be faster.
_CHUNK_ROWS = 10_000
_MODULUS = 2**128

#: The target's own columns.
_OWN = ("_audit_", "_sdc_")


@dataclass(frozen=True, slots=True)
class Content:
    """What an extract holds.

    Attributes:
        rows: How many.
        digest: Over all of them, as 32 hexadecimal digits.
    """

    rows: int
    digest: str


def content_of(extract: Path, columns: Sequence[str]) -> Content:
    """Rows and digest of an extract; a copy is read, because Hyper writes to what it opens.

    Args:
        extract: The file.
        columns: Of its table.

    Raises:
        TransientError: the copy cannot be read.
    """
    names = [name for name in columns if not name.startswith(_OWN)]
    rows = total = 0
    with tempfile.TemporaryDirectory(prefix="content-") as directory:
        copy = Path(directory) / "copy.hyper"
        shutil.copyfile(extract, copy)
        try:
            stream = pantab.frame_from_hyper_query(
                copy,
                f"SELECT {listing(names)} FROM {TABLE}",  # noqa: S608 - quoted
                return_type="stream",
                chunk_size=_CHUNK_ROWS,
            )
            for batch in pa.RecordBatchReader.from_stream(stream):
                rows += batch.num_rows
                hashes = row_hashes(dict(zip(names, batch.columns, strict=True)))
                total = (total + sum(int(one, 16) for one in hashes.to_pylist())) % _MODULUS
        except RuntimeError as error:  # what pantab raises for anything that its hyperd says
            message = f"{extract.name} cannot be read; check free disk space and memory"
            raise TransientError(message) from error
    return Content(rows, f"{total:032x}")
