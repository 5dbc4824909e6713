"""The clock of the simulator, and the form in which the REST API writes instants."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

#: The REST API knows whole seconds only; tableauserverclient parses no other form
#: (``datetime_helpers.TABLEAU_DATE_FORMAT``).
REST_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_ONE_SECOND = timedelta(seconds=1)


def utc_now() -> datetime:
    """The clock of the machine, aware."""
    return datetime.now(UTC)


def to_rest(instant: datetime) -> str:
    """Write ``instant`` as the REST API does, for example ``2026-11-23T07:00:00Z``."""
    return instant.astimezone(UTC).strftime(REST_FORMAT)


def from_rest(text: str) -> datetime:
    """Read what `to_rest` wrote.

    Raises:
        ValueError: ``text`` has another form.
    """
    return datetime.strptime(text, REST_FORMAT).replace(tzinfo=UTC)


def later(now: datetime, than: datetime | None) -> datetime:
    """``now`` in whole seconds, moved on where that would not be later than ``than``.

    Two updates within one second would otherwise carry the same ``updatedAt``, and a client that
    compares it to learn whether its own update arrived could not tell them apart.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    return now if than is None or now > than else than + _ONE_SECOND
