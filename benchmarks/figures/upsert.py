"""Changed rows into a large table, against a copy of the file with a bare delete and insert."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from benchmarks.data.records import KEY, STREAM, write_changes
from benchmarks.figures.target_batches import large_table, load_files
from benchmarks.measuring.figure import at_most, timed
from benchmarks.measuring.meter import Cost, alternately, run
from benchmarks.measuring.workshop import floor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring.figure import Figure
    from benchmarks.measuring.workshop import Workshop


def measure(workshop: Workshop) -> Iterator[Figure]:
    """Every turn brings other values: rows that are as they were would not be written."""
    home, sizes = large_table(workshop), workshop.sizes
    extract = home / "output" / f"{STREAM}.hyper"
    versions = count(1)

    def changes() -> Path:
        version = next(versions)
        return workshop.kept(
            f"{sizes.changed_rows}-of-{sizes.batch_rows}-version-{version}.parquet",
            lambda path: write_changes(path, sizes.changed_rows, sizes.batch_rows, version),
        )

    def bare() -> Cost:
        return run(floor("upsert_copy", extract, home / "copy.hyper", KEY, changes()))

    def ours() -> Cost:
        return load_files(home, [changes()], anew=False)

    floor_cost, cost = alternately(workshop.repetitions, bare, ours)
    yield timed(
        "upsert of changed rows into a large table",
        "copy of the file, hyperd's delete and insert",
        floor_cost,
        cost,
        goal=at_most(1.4),
        note=f"{sizes.changed_rows:,} rows, BATCH Parquet, into {sizes.batch_rows:,}; extract of "
        f"{extract.stat().st_size / 1e6:,.0f} MB; {cost.peak('target-tableau').rss_mb:.0f} MB peak",
    )
