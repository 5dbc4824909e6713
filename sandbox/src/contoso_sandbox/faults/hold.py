"""Hold a server's answer until the test lets it go; nobody has to sleep."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Event

_REACHED_DEADLINE_S = 30.0


class Hold:
    """A gate between a test's thread and a server's event loop."""

    def __init__(self) -> None:
        """Start closed."""
        self._released: Future[None] = Future()
        self._reached = Event()

    def release(self) -> None:
        """Open the gate, for good; a second call does nothing."""
        if not self._released.done():
            self._released.set_result(None)

    def wait_until_reached(self, timeout_s: float = _REACHED_DEADLINE_S) -> None:
        """Block the test until the server stands at the gate.

        Raises:
            TimeoutError: No request came that far in ``timeout_s``.
        """
        if not self._reached.wait(timeout_s):
            message = f"no request reached the hold within {timeout_s:g} s"
            raise TimeoutError(message)

    async def passed(self) -> None:
        """Wait, in the server, until the gate is open."""
        self._reached.set()
        # Shielded: a request whose client has gone must not cancel the gate of the others.
        await asyncio.shield(asyncio.wrap_future(self._released))
