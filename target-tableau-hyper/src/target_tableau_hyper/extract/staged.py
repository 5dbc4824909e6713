"""What a run has received of a stream: segments, and what is known of their rows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from target_tableau_hyper.extract.figures import EXACT, ZERO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from pathlib import Path

    import pyarrow as pa

    from target_tableau_hyper.extract.quarantine import Quarantine
    from target_tableau_hyper.extract.schema import Column


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


def clear_staging(root: Path) -> list[str]:
    """Remove what earlier runs left behind; call it only under the directory's lock.

    Returns:
        The run ids of the leftovers.
    """
    left = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
    shutil.rmtree(root, ignore_errors=True)
    return left
