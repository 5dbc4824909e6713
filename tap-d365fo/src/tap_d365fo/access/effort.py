"""What reading one partition took: requests, repetitions, waits.

A worker reads one partition to its end before it begins another, so what the client does in its
thread in between is done for that partition.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from tap_d365fo.reading.portion import Portion


@dataclass(slots=True)
class Effort:
    """Running figures of one partition; a worker writes them, the emitter reads them at the end.

    Attributes:
        requests: Attempts, repeated ones included.
        retries: Attempts that failed and were made again.
        waited_s: Seconds slept before those.
        seconds: From the first request to the last portion that was handed over.
        size_bytes: Length of the JSON that the rows came in.
        first_at, last_at: When the first and the last page came; in a replay, when they were
            recorded.
    """

    requests: int = 0
    retries: int = 0
    waited_s: float = 0.0
    seconds: float = 0.0
    size_bytes: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None

    def told(self) -> dict[str, object]:
        """The figures as the ledger holds them; what did not happen is left out."""
        figures: dict[str, object] = {"seconds": round(self.seconds, 3), "bytes": self.size_bytes}
        if self.requests:
            figures["requests"] = self.requests
        if self.retries:
            figures |= {"retries": self.retries, "waited_s": round(self.waited_s, 1)}
        if self.first_at is not None and self.last_at is not None:
            figures |= {
                "first_page_at": self.first_at.isoformat(timespec="milliseconds"),
                "last_page_at": self.last_at.isoformat(timespec="milliseconds"),
            }
        return figures


_current: ContextVar[Effort | None] = ContextVar("effort", default=None)


def note_request() -> None:
    """Count an attempt for whatever this thread is reading."""
    effort = _current.get()
    if effort is not None:
        effort.requests += 1


def note_wait(seconds: float) -> None:
    """Count a wait before an attempt is repeated."""
    effort = _current.get()
    if effort is not None:
        effort.retries += 1
        effort.waited_s += seconds


def measured(
    effort: Effort,
    portions: Iterator[Portion],
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Portion]:
    """``portions``, with everything that reading them takes added to ``effort``."""
    started = monotonic()
    _current.set(effort)
    try:
        for portion in portions:
            effort.seconds = monotonic() - started
            effort.size_bytes += portion.size_bytes
            if portion.pages:
                effort.first_at = effort.first_at or portion.received_at
                effort.last_at = portion.received_at
            yield portion
    finally:
        effort.seconds = monotonic() - started
        if _current.get() is effort:  # a generator that was left may be ended by another thread
            _current.set(None)
