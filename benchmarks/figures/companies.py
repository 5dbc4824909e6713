"""Eight companies behind a slow line: what reading several at a time brings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.figures.tap_commands import tap_command
from benchmarks.measuring.figure import Amount, Figure, at_least
from benchmarks.measuring.meter import run
from benchmarks.replay.plan import Replay
from benchmarks.replay.running import replaying

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.measuring.workshop import Workshop

_ENTITY_SET = "GeneralJournalAccountEntries"
_COMPANIES = ("usmf", "demf", "frrt", "gbsi", "jpmf", "mxmf", "ussi", "usrt")
_LATENCY_S = 0.2
_PAGE_ROWS = 500


def measure(workshop: Workshop) -> Iterator[Figure]:
    """The same pages one at a time and four at a time."""
    home, pages = workshop.scratch("companies"), workshop.sizes.company_pages
    rows = pages * _PAGE_ROWS
    replay = Replay(
        _ENTITY_SET, rows, companies=_COMPANIES, page_rows=_PAGE_ROWS, delay_s=_LATENCY_S
    )
    with replaying(replay, home) as config:
        one, four = (_seconds(home, config, at_once) for at_once in (1, 4))
    total = rows * len(_COMPANIES)
    yield Figure(
        "8 companies, 200 ms a page, max_concurrency 4",
        "the same with max_concurrency 1",
        Amount(total / one, "rows/s"),
        Amount(total / four, "rows/s"),
        at_least(3.5),
        f"{pages} pages of {_PAGE_ROWS} rows a company; {one:.1f} s and {four:.1f} s, start of the "
        "tap included",
    )


def _seconds(home: Path, config: Mapping[str, Any], at_once: int) -> float:
    settings = {
        **config,
        "max_concurrency": at_once,
        "entity_settings": {_ENTITY_SET: {"replication": "full"}},
    }
    return run(tap_command(home, settings, f"tap-{at_once}")).seconds
