"""What an operator sees while the rows of a stream flow."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.reading.portion import Portion

#: Seconds between two lines about one stream.
_EVERY_S = 5.0

_logger = logging.getLogger("tap-d365fo.progress")


class Progress:
    """Counts one stream and says how it goes, not more often than every few seconds."""

    def __init__(
        self, stream: str, partitions: int, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Start the clock."""
        self._stream = stream
        self._partitions = partitions
        self._monotonic = monotonic
        self._begun = self._told = monotonic()
        self._expected: dict[str, int] = {}
        self._ended = 0
        self._failed = 0
        self.rows = 0
        self.deletes = 0
        self.pages = 0

    def portion(self, partition: str, portion: Portion) -> None:
        """Count what was emitted of a partition."""
        self.rows += len(portion.rows)
        self.deletes += len(portion.deleted)
        self.pages += portion.pages
        if portion.expected is not None:
            self._expected[partition] = max(portion.expected, self._expected.get(partition, 0))
        now = self._monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            _logger.info("%s", self._line(now))

    def ended(self) -> None:
        """Count a partition that has been read."""
        self._ended += 1

    def failed(self) -> None:
        """Count a partition that could not be read."""
        self._failed += 1

    def finished(self) -> None:
        """Say what the stream came to."""
        seconds = self._monotonic() - self._begun
        gone = f", {self.deletes} gone" if self.deletes else ""
        failed = f"; {self._failed} of {self._partitions} failed" if self._failed else ""
        pages = f"{self.pages} page{'' if self.pages == 1 else 's'}"
        _logger.info(
            "%s: %d rows%s, %s, %.1f s%s", *(self._stream, self.rows, gone, pages, seconds, failed)
        )

    def _line(self, now: float) -> str:
        rate = self.rows / max(now - self._begun, 0.001)
        said = [f"{self.rows} rows", f"{self.pages} pages", f"{rate:.0f} rows/s"]
        if self._partitions > 1:
            said.append(f"{self._ended} of {self._partitions} companies done")
        left = sum(self._expected.values()) - self.rows
        # Known only when every partition that is being read or waits has told its number of rows.
        if len(self._expected) == self._partitions and left > 0 and rate > 0:
            said.append(f"about {left / rate:.0f} s left")
        return f"{self._stream}: {', '.join(said)}"
