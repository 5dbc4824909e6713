"""The instant after which a run asks for nothing more, and waits for nothing."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline_core.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

#: What a wait of astronomic length is cut to in a message.
_LONGEST_PROMISE_S = 366 * 86400.0


class RunDeadline:
    """``run_timeout``, shared by everything that may take time: requests, tokens, waits."""

    def __init__(
        self,
        seconds: float = math.inf,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Start the run's clock."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._now = now
        self._ends = monotonic() + seconds

    @property
    def left_s(self) -> float:
        """Seconds that are left; never negative."""
        return max(0.0, self._ends - self._monotonic())

    def check(self, what: str) -> None:
        """Before something is begun.

        Raises:
            TransientError: the time is over.
        """
        if self.left_s <= 0:
            message = f"{what}: run_timeout ({self._seconds:g} s) is over; the next run goes on"
            raise TransientError(message)

    def check_wait(self, wait_s: float, what: str) -> None:
        """Before ``wait_s`` seconds are waited.

        Raises:
            TransientError: the wait would end after the run; ``retry_at`` is its end.
        """
        if wait_s > self.left_s:
            retry_at = self._now() + timedelta(seconds=min(wait_s, _LONGEST_PROMISE_S))
            message = f"{what}; run_timeout leaves no time to wait"
            raise TransientError(message, retry_at=retry_at)
