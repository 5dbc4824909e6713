"""SIGTERM ends a command by unwinding it: copies are removed, sessions signed out of."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_core.errors import TerminatedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def unwinding(message: str) -> Iterator[None]:
    """Raise within the block when the process is told to stop.

    Raises:
        TerminatedError: with ``message``, the last sentence.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TerminatedError(message)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
