"""What a replay server serves."""

from __future__ import annotations

from dataclasses import dataclass

#: Opens the environment without a way to Entra ID, for floors and foreign taps.
TOKEN = "benchmark"  # noqa: S105 - opens a made-up environment


@dataclass(frozen=True, slots=True)
class Replay:
    """Pages of one entity set.

    Attributes:
        entity_set: Has one key beside the company.
        rows: How many, of each company.
        companies: For a set with companies.
        page_rows: Most rows of a page.
        block_rows: After so many rows values come again.
        ahead: Pack all pages before the first request.
        stored: Pages that were not packed ahead go out as gzip without compression.
        delay_s: How late each page is.
    """

    entity_set: str
    rows: int
    companies: tuple[str, ...] | list[str] = ()
    page_rows: int = 10_000
    block_rows: int = 5_000
    ahead: bool = False
    stored: bool = False
    delay_s: float = 0.0
