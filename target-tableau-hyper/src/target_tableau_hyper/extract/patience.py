"""A run that is told to stop does not wait for ever for a hyperd that no longer answers.

Python acts on a signal when the statement of hyperd that it waits for has ended; one that hangs, or
takes an hour, would keep the process until somebody kills it. So a thread hears of the signal too,
and ends hyperd when the statement does not end soon. That harms nothing: hyperd works on copies.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How long a statement may still take. Schedulers kill what has not gone half a minute after it was
#: told to (Kubernetes' ``terminationGracePeriodSeconds`` is 30).
GRACE_S = 10.0

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})


@contextmanager
def limited_patience(pid: int, *, grace_s: float | None = None) -> Iterator[None]:
    """Within the block, kill process ``pid`` when the run is told to stop and goes on regardless.

    Only the main thread hears of signals; in any other nothing is done.

    Args:
        pid: hyperd, a child of this process.
        grace_s: Time from the signal to the kill; :data:`GRACE_S` where not given.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    grace = GRACE_S if grace_s is None else grace_s
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    # hyperd is a child that nobody has waited for, so its number is its own while the block lasts.
    watcher = threading.Thread(target=_watch, args=(heard, pid, grace, before), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(told)  # the watcher reads the end of the pipe
        watcher.join()
        os.close(heard)


def _watch(heard: int, pid: int, grace_s: float, outer: int) -> None:
    while numbers := os.read(heard, 64):
        if outer >= 0:
            with suppress(BlockingIOError):  # an engine around this one has a watcher too
                os.write(outer, numbers)
        if _STOPPING.isdisjoint(numbers):
            continue
        readable, _, _ = select.select([heard], [], [], grace_s)
        if not readable:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return
