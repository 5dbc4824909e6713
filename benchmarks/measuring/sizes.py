"""How much is measured: enough to drown start-up in ``bench``, enough to see in ``bench-quick``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of rows, pages and repetitions.

    Attributes:
        repetitions: Of which the fastest counts; floor and ours take turns.
        batch_repetitions: Likewise for the BATCH figure, which is long enough to be steady.
        ledger_rows: Posted entries that tap and pipeline read.
        sdk_tap_rows: Of these, how many the slow tap reads; compared by rows a second.
        vendor_pages: Pages a company of wide vendors, small and large.
        vendor_page_rows: Rows of such a page.
        record_rows: Records of the target's figure.
        peer_rows: Of these, how many the slow peers take; compared by rows a second.
        batch_rows: Rows of the BATCH figure; also the table of the upsert figure.
        changed_rows: Rows of an upsert.
        patch_rows: Rows of the small and the large published table.
        patch_changes: Changed rows of a small and a large PATCH.
        vendors: Wide vendors that `etag_scan` looks through.
        memory_rows: Rows through RECORD, small and large.
        company_pages: Pages of each of eight companies behind a slow line.
        idle_runs: Runs of Meltano with nothing changed.
    """

    repetitions: int
    batch_repetitions: int
    ledger_rows: int
    sdk_tap_rows: int
    vendor_pages: tuple[int, int]
    vendor_page_rows: int
    record_rows: int
    peer_rows: int
    batch_rows: int
    changed_rows: int
    patch_rows: tuple[int, int]
    patch_changes: tuple[int, int]
    vendors: int
    memory_rows: tuple[int, int]
    company_pages: int
    idle_runs: int


FULL = Sizes(
    repetitions=2,
    batch_repetitions=1,
    ledger_rows=1_000_000,
    sdk_tap_rows=60_000,
    vendor_pages=(2, 6),
    vendor_page_rows=10_000,
    record_rows=1_000_000,
    peer_rows=40_000,
    batch_rows=5_000_000,
    changed_rows=100_000,
    patch_rows=(50_000, 500_000),
    patch_changes=(500, 5_000),
    vendors=100_000,
    memory_rows=(1_000_000, 10_000_000),
    company_pages=20,
    idle_runs=3,
)

QUICK = Sizes(
    repetitions=1,
    batch_repetitions=1,
    ledger_rows=60_000,
    sdk_tap_rows=5_000,
    vendor_pages=(1, 3),
    vendor_page_rows=1_000,
    record_rows=60_000,
    peer_rows=4_000,
    batch_rows=100_000,
    changed_rows=2_000,
    patch_rows=(4_000, 12_000),
    patch_changes=(100, 1_000),
    vendors=2_000,
    memory_rows=(20_000, 80_000),
    company_pages=4,
    idle_runs=1,
)
