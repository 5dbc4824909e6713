"""A clock that waiting moves on without anybody waiting."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from datetime import UTC, datetime, timedelta

from tap_d365fo.access.client import Timing


class SkippingClock:
    """Real time plus what was slept: a sleep returns at once, and later looks are later.

    Attributes:
        slept: Every wait, in seconds.
        wall_error_s: How far the wall clock is off; durations do not know of it.
    """

    def __init__(self, seed: int = 7) -> None:
        """Start with the real time."""
        self._skipped_s = 0.0
        self._lock = threading.Lock()
        self._chance = random.Random(seed)  # noqa: S311 - repeatable
        self.slept: list[float] = []
        self.wall_error_s = 0.0

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic() + self._skipped_s

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.now(UTC) + timedelta(seconds=self._skipped_s + self.wall_error_s)

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        with self._lock:
            self.slept.append(seconds)
            self._skipped_s += seconds

    async def pause(self, seconds: float) -> None:
        """The same for a server's loop, which lets others run meanwhile."""
        with self._lock:
            self._skipped_s += seconds
        await asyncio.sleep(0)

    def timing(self) -> Timing:
        """The seam that the client takes."""
        return Timing(monotonic=self.monotonic, sleep=self.sleep, now=self.now, chance=self._chance)
