"""What an operator sees while rows flow."""

from __future__ import annotations

import logging
import time

#: Seconds between two lines about one partition.
_EVERY_S = 5.0

_logger = logging.getLogger("tap-d365fo.progress")


class Progress:
    """Counts one partition and says how it goes, not more often than every few seconds."""

    def __init__(self, stream: str, company: str | None) -> None:
        """Start the clock."""
        self._name = f"{stream} [{company}]" if company else stream
        self._begun = self._told = time.monotonic()
        self.rows = 0
        self.pages = 0

    def page(self, rows: int) -> None:
        """Count one page."""
        self.rows += rows
        self.pages += 1
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            _logger.info("%s: %d rows, %.0f rows/s", self._name, self.rows, self._rate(now))

    def finished(self) -> None:
        """Say what the partition came to."""
        now = time.monotonic()
        _logger.info(
            "%s: %d rows, %d pages, %.1f s", self._name, self.rows, self.pages, now - self._begun
        )

    def _rate(self, now: float) -> float:
        return self.rows / max(now - self._begun, 0.001)
