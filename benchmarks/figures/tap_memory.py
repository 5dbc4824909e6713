"""Memory of the tap with pages of a very wide entity: how much, and whether it grows with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.figures.tap_commands import tap_command
from benchmarks.measuring.figure import Amount, Figure, at_most
from benchmarks.measuring.meter import Cost, run
from benchmarks.replay.plan import Replay
from benchmarks.replay.running import replaying

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring.workshop import Workshop

_COMPANIES = ("usmf", "demf")
#: Wide rows repeat sooner: the server has to hold them.
_BLOCK_ROWS = 500


def measure(workshop: Workshop) -> Iterator[Figure]:
    """Two numbers of pages, each read whole from two companies."""
    sizes = workshop.sizes
    few, many = (_read(workshop, pages) for pages in sizes.vendor_pages)
    fewer, more = (2 * pages for pages in sizes.vendor_pages)
    yield Figure(
        "tap RECORD, 290-column VendorsV2: peak RSS",
        f"the same with {fewer} pages",
        Amount(few.peak("tap-d365fo").rss_mb, "MB"),
        Amount(many.peak("tap-d365fo").rss_mb, "MB"),
        at_most(1.1, most=350),
        f"{more} pages of {sizes.vendor_page_rows:,} rows, two companies; "
        f"{more * sizes.vendor_page_rows / many.seconds:,.0f} rows/s",
    )


def _read(workshop: Workshop, pages: int) -> Cost:
    home, page_rows = workshop.scratch("tap-memory"), workshop.sizes.vendor_page_rows
    replay = Replay(
        "VendorsV2",
        pages * page_rows,
        companies=_COMPANIES,
        page_rows=page_rows,
        block_rows=_BLOCK_ROWS,
    )
    with replaying(replay, home) as config:
        return run(tap_command(home, config))
