"""The target in RECORD mode: against decoding and inserting alone, and against other targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.data.records import write_bare_records, write_lines, write_types
from benchmarks.figures.target_commands import load
from benchmarks.figures.target_peers import against_peers
from benchmarks.measuring.figure import at_most, timed
from benchmarks.measuring.meter import alternately, run
from benchmarks.measuring.workshop import floor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring.figure import Figure
    from benchmarks.measuring.workshop import Workshop


def measure(workshop: Workshop) -> Iterator[Figure]:
    """The target's floor, then the peers."""
    home, rows = workshop.scratch("target-records"), workshop.sizes.record_rows
    messages = workshop.kept(f"{rows}.singer", lambda path: write_lines(path, rows))
    bare = workshop.kept(f"{rows}.jsonl", lambda path: write_bare_records(path, rows))
    types = workshop.kept("types.parquet", write_types)
    decoded, ours = alternately(
        workshop.repetitions,
        lambda: run(floor("json_to_hyper", home / "floor.hyper", bare, types)),
        lambda: load(home, messages),
    )
    yield timed(
        "target RECORD, 30 fields, to sealed .hyper",
        "pyarrow.json decoding and hyperd's insert of the same rows",
        decoded,
        ours,
        goal=at_most(1.5),
        note=f"{rows:,} records, {messages.stat().st_size / 1e6:,.0f} MB; start of Python and "
        f"of hyperd on both sides; {ours.peak('target-tableau').rss_mb:.0f} MB peak",
    )
    yield from against_peers(workshop, rows / ours.seconds)
