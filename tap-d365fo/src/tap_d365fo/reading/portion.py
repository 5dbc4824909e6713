"""What a reading strategy hands over at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tap_d365fo.reading.typed_rows import Row


@dataclass(frozen=True, slots=True)
class Portion:
    """Rows of one partition, and what its state becomes once they are committed.

    Attributes:
        rows: As in :class:`~tap_d365fo.reading.pages.Page`. Whoever takes the portion owns the
            list, and empties it as rows are sent: a page of a wide entity is large.
        state: Entries of the partition's state; None removes one.
        received_at: When the page came; records carry it, so that a replay gives the same ones.
        deleted: Keys of rows that are gone.
        size_bytes: Length of the JSON that the rows came in.
        pages: Requests that the rows took.
        expected: Rows that this read of the partition will bring, where that is known.
    """

    rows: list[Row]
    state: Mapping[str, Any]
    received_at: datetime
    deleted: list[dict[str, Any]] = field(default_factory=list)
    size_bytes: int = 0
    pages: int = 1
    expected: int | None = None
