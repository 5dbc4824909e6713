"""One thread that writes for all streams, one job at a time and no more than one ahead.

Packing and writing is half of what it takes to stage a row, and Arrow does it without the
interpreter. So one group of rows is written while the next is read and converted.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Behind:
    """Does jobs in the order in which they were given."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._thread = ThreadPoolExecutor(1, "segment-writer")
        self._last: Future[Any] | None = None

    def submit(self, work: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Do ``work`` when the job before is done, for which this waits: memory holds one job.

        What went wrong with another job is its owner's business.
        """
        if self._last is not None:
            wait([self._last])
        self._last = self._thread.submit(work, *arguments)
        return self._last

    def finish(self, work: Callable[[], Any]) -> None:
        """Do ``work`` behind everything that has been given, and wait for it.

        Whoever was interrupted, by a signal for instance, while a file was being written, can
        close it only so: there may be a job that he does not know of.

        Raises:
            Exception: what ``work`` raises.
        """
        self._thread.submit(work).result()
