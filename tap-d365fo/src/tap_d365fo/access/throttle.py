"""How many requests may be under way, shared by all workers of a run.

F&O throttles by the load of a web server, not by a count that a client could stay below, and its
waits grow when a client keeps asking (service-protection-api-limits.md). So a refusal makes *all*
workers wait, and halves how many of them may ask at a time; answers that come let the number grow
again, one by one.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_d365fo.access.deadline import RunDeadline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Answers that must come, for each request allowed at a time, before one more is allowed.
_ANSWERS_TO_GROW = 8


class Throttle:
    """Lets at most ``limit`` requests through at a time, and none while the server asks to wait."""

    def __init__(
        self,
        most: int,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        deadline: RunDeadline | None = None,
    ) -> None:
        """Allow up to ``most`` requests at a time; no wait goes beyond ``deadline``."""
        self._most = self._limit = most
        self._monotonic = monotonic
        self._sleep = sleep
        self._deadline = deadline or RunDeadline()
        self._under_way = 0
        self._answers = 0
        self._quiet_until = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """Requests that may be under way now."""
        return self._limit

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn; the body is one request.

        Raises:
            TransientError: the server asks to wait longer than the run may last.
        """
        self._enter()
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def answered(self) -> None:
        """Tell of an answer; enough of them raise the limit by one."""
        with self._changed:
            self._answers += 1
            if self._limit < self._most and self._answers >= _ANSWERS_TO_GROW * self._limit:
                self._limit += 1
                self._answers = 0
                self._changed.notify()

    def refused(self, wait_s: float) -> None:
        """Tell of a 429: nobody asks for ``wait_s`` seconds, and then fewer at a time."""
        with self._changed:
            now = self._monotonic()
            if now >= self._quiet_until:
                # Refusals of requests that were under way together count once.
                self._limit = max(1, self._limit // 2)
            self._answers = 0
            self._quiet_until = max(self._quiet_until, now + wait_s)

    def _enter(self) -> None:
        while True:
            with self._changed:
                while self._under_way >= self._limit:
                    self._changed.wait()
                quiet_s = self._quiet_until - self._monotonic()
                if quiet_s <= 0:
                    self._under_way += 1
                    return
            self._deadline.check_wait(quiet_s, "the environment asks all requests to wait")
            self._sleep(quiet_s)
