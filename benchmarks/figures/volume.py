"""Memory of every process at a large volume through RECORD, tap piped into target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures.tap_commands import SOURCE, tap_command
from benchmarks.figures.target_commands import target_command
from benchmarks.measuring.figure import Amount, Figure, at_most
from benchmarks.measuring.meter import Cost, run
from benchmarks.replay.plan import Replay
from benchmarks.replay.running import replaying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring.workshop import Workshop

_PROGRAMS = ("tap-d365fo", "target-tableau-hyper", "hyperd")
_MOST_MB = 400


def measure(workshop: Workshop) -> Iterator[Figure]:
    """A figure for each process: the large volume's peak against the small one's.

    Of hyperd the memory of its own counts: the rest of it is the mapped extract, which the system
    takes back when it wants to.
    """
    small, large = workshop.sizes.memory_rows
    before, after = _load(workshop, small), _load(workshop, large)
    for name in _PROGRAMS:
        floor, ours = before.peak(name), after.peak(name)
        is_engine = name == "hyperd"
        yield Figure(
            f"{large:,} rows through RECORD: peak of {name}",
            f"the same with {small:,} rows",
            Amount(floor.own_mb if is_engine else floor.rss_mb, "MB"),
            Amount(ours.own_mb if is_engine else ours.rss_mb, "MB"),
            at_most(1.1, most=_MOST_MB),
            f"without mapped files; with them {ours.rss_mb:,.0f} MB"
            if is_engine
            else f"RSS; {large / after.seconds:,.0f} rows/s through the pipe",
        )


def _load(workshop: Workshop, rows: int) -> Cost:
    home = workshop.scratch("volume")
    with replaying(Replay(SOURCE, rows, stored=True), home) as config:
        return run(tap_command(home, config), target_command(home, home / "output"))
