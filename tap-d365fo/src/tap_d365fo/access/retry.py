"""What to do after a failed attempt: pure decisions, no clock and no sleeping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Verdict(Enum):
    """What the status of an answer asks for."""

    ACCEPT = auto()
    RENEW_TOKEN = auto()
    RETRY = auto()
    REFUSED = auto()
    FATAL = auto()


#: 408 and 5xx come from gateways and restarting servers, 429 from F&O's resource-based throttling.
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


def judge(status: int) -> Verdict:
    """Classify the HTTP status of an answer.

    A redirect is FATAL: F&O sends none to a valid address, and following one could carry the token
    away.
    """
    if status == 200:  # noqa: PLR2004 - the one success that a GET has here
        return Verdict.ACCEPT
    if status == 401:  # noqa: PLR2004
        return Verdict.RENEW_TOKEN
    if status == 403:  # noqa: PLR2004
        return Verdict.REFUSED
    return Verdict.RETRY if status in _RETRIED else Verdict.FATAL


def parse_retry_after(header: str | None, *, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait, counted from ``now``.

    Args:
        header: Whole seconds or an HTTP date (RFC 9110, section 10.2.3).
        now: The sender's clock, i.e. its ``Date`` header where it sent one, so that a skewed
            clock on either side shortens nothing.

    Returns:
        ``None`` where there is no readable header; never negative.
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(0.0, (instant - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential waiting with full jitter, for failures that name no time themselves.

    Attributes:
        attempts: How often a page is tried in all.
        base_s: Upper bound of the first wait.
        cap_s: Upper bound of any wait.
    """

    attempts: int = 8
    base_s: float = 1.0
    cap_s: float = 60.0

    def wait_s(self, failures: int, *, chance: random.Random) -> float:
        """Seconds to wait after so many ``failures`` (1 after the first)."""
        return chance.uniform(0, min(self.cap_s, self.base_s * 2 ** (failures - 1)))
