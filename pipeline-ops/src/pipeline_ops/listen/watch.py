"""The status page that the service serves to those who know its address."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline_ops.status.gather import gather
from pipeline_ops.status.page import status_page

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline_ops.listen.settings import StatusSide

#: A browser asks again after so many seconds.
_REFRESH_S = 60

#: The whole ledger is read for a page, so it is made this often at most, however many look at it.
_KEPT_S = 15.0


class StatusView:
    """Makes the page; used from several threads."""

    def __init__(
        self,
        side: StatusSide,
        ledger_path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show what lies in ``side.output_dir`` and what the ledger tells."""
        self._side = side
        self._ledger_path = ledger_path
        self._clock = clock
        self._lock = threading.Lock()
        self._page = ""
        self._made_at = float("-inf")

    def page(self) -> str:
        """The page, at most a quarter of a minute old.

        Raises:
            ConfigError: there is no such output directory.
        """
        with self._lock:
            if self._clock() - self._made_at > _KEPT_S:
                status = gather(
                    self._side.output_dir,
                    self._ledger_path,
                    now=datetime.now(UTC),
                    late_after=timedelta(hours=self._side.late_after_h),
                )
                self._page = status_page(status, refresh_s=_REFRESH_S)
                self._made_at = self._clock()
            return self._page
