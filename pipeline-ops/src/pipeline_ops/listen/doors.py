"""Who may speak to the service: the secret in the path, compared in constant time.

Neither Tableau nor D365 signs what it sends, so the address itself is the secret: ``/tableau/...``,
``/d365/...`` and ``/event-grid/...``. Each sender has secrets of its own, so that one who learns
D365's address cannot speak for Tableau; two at a time, so that they can be changed without a gap.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLEAU, D365, EVENT_GRID = "tableau", "d365", "event-grid"

#: Who looks at the status page sends nothing, but has an address of the same kind.
STATUS = "status"


@dataclass(frozen=True, slots=True)
class Sender:
    """One that may call.

    Attributes:
        name: First part of its path.
        secrets: Second part; the first is the one to give out, others still work.
        max_body_bytes: What it may send in one request.
    """

    name: str
    secrets: tuple[str, ...] = field(repr=False)
    max_body_bytes: int = 64 * 1024

    def paths(self) -> list[str]:
        """Its paths, the current one first."""
        return [f"/{self.name}/{secret}" for secret in self.secrets]


class Doors:
    """Recognises paths."""

    def __init__(self, senders: Iterable[Sender]) -> None:
        """Keep digests of the paths of ``senders``."""
        self._known = [(sender, _digest(path)) for sender in senders for path in sender.paths()]

    def open(self, path: str) -> Sender | None:
        """Whose path it is; ``None`` for any other.

        Every path is hashed and compared with every known one, so that the time tells neither how
        much of a guess was right nor whether a sender of that name is set up.
        """
        given, found = _digest(path), None
        for sender, digest in self._known:
            if hmac.compare_digest(given, digest):
                found = sender
        return found


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()
