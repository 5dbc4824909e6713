"""The target in BATCH mode with Parquet files, against hyperd's insert of the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.data.records import STREAM, batch_messages, write_batches
from benchmarks.figures.target_commands import load
from benchmarks.measuring.figure import at_most, timed
from benchmarks.measuring.meter import Cost, alternately, run
from benchmarks.measuring.workshop import floor

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.measuring.figure import Figure
    from benchmarks.measuring.workshop import Workshop


def measure(workshop: Workshop) -> Iterator[Figure]:
    """The whole way to a sealed extract."""
    home, rows = workshop.scratch("target-batches"), workshop.sizes.batch_rows
    files = files_of(workshop)
    bare, ours = alternately(
        workshop.sizes.batch_repetitions,
        lambda: run(floor("files_to_hyper", home / "floor.hyper", *files)),
        lambda: load_files(home, files),
    )
    yield timed(
        "target BATCH Parquet, 30 fields, to sealed .hyper",
        "hyperd's insert from the same files",
        bare,
        ours,
        goal=at_most(1.25),
        note=f"{rows:,} rows in {len(files)} files; start of Python and of hyperd on both sides; "
        f"{ours.peak('target-tableau').rss_mb:.0f} MB peak",
    )


def files_of(workshop: Workshop) -> list[Path]:
    """The Parquet files of the large table."""
    rows = workshop.sizes.batch_rows
    folder = workshop.kept(f"{rows}.batches", lambda path: write_batches(path, rows))
    return sorted(folder.glob("*.parquet"))


def load_files(home: Path, files: list[Path], *, anew: bool = True) -> Cost:
    """Load Parquet files by a BATCH message."""
    return load(home, batch_messages(home / "batches.singer", files), anew=anew)


def large_table(workshop: Workshop) -> Path:
    """Home of the large table's extract; it may be there from the BATCH figure."""
    home = workshop.run / "target-batches"
    if not (home / "output" / f"{STREAM}.hyper").exists():
        home = workshop.scratch("target-batches")
        load_files(home, files_of(workshop))
    return home
