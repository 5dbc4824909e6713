"""What was asked of the server and how much travelled."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

#: Enough for a day of tests; older requests fall out.
_CAPACITY = 100_000


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """One answered request.

    Attributes:
        entity_set: The set that was read, where the path named one.
        status: As sent; 0 where the connection broke before a status line.
        rows: Rows in the answer (``$batch``: of all parts); 0 where it could not be read.
        bytes: Length of the body as sent, after compression.
        fault: Names of the scripted faults that struck it.
    """

    at: datetime
    method: str
    path: str
    query: str
    entity_set: str | None
    status: int
    rows: int
    bytes: int
    duration_ms: float
    fault: str = ""


class RequestLog:
    """The latest requests in the order in which they were answered; safe between threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._requests: deque[LoggedRequest] = deque(maxlen=_CAPACITY)
        self._lock = Lock()

    def add(self, request: LoggedRequest) -> None:
        """Keep one more request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget all, for example between two runs that are to be compared."""
        with self._lock:
            self._requests.clear()

    def rows_by_set(self) -> dict[str, int]:
        """Sum the rows that travelled, by entity set."""
        rows: dict[str, int] = {}
        for request in self:
            if request.entity_set is not None:
                rows[request.entity_set] = rows.get(request.entity_set, 0) + request.rows
        return rows

    def __iter__(self) -> Iterator[LoggedRequest]:
        """Walk a copy, so that requests may arrive meanwhile."""
        with self._lock:
            return iter(tuple(self._requests))

    def __len__(self) -> int:
        """Return how many requests are kept."""
        return len(self._requests)
