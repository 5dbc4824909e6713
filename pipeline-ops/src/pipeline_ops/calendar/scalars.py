"""Texts of ``close_calendar.yml`` and what they mean; a ``ValueError`` says what is wanted."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipeline_ops.calendar.lines import nearest

if TYPE_CHECKING:
    from collections.abc import Callable

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DURATION = re.compile(r"(\d{1,6})\s*([smhd])")
_LONGEST_LATENESS = timedelta(days=60)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def name(text: str) -> str:
    """A name that can stand in a file name, a DAG id and a variable."""
    if _NAME.fullmatch(text) is None:
        message = "use up to 64 letters, digits, '.', '_' and '-'"
        raise ValueError(message)
    return text


def day(text: str) -> date:
    """``2027-01-31``."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = "write a day as 2027-01-31"
        raise ValueError(message) from error


def duration(text: str) -> timedelta:
    """``90s``, ``30m``, ``12h`` or ``2d``; more than nothing."""
    match = _DURATION.fullmatch(text)
    length = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if not length:
        message = "write a duration as 90s, 30m, 12h or 2d"
        raise ValueError(message)
    return length


def lateness(text: str) -> timedelta:
    """A duration of at most 60 days: later than that, the next close has begun."""
    length = duration(text)
    if length > _LONGEST_LATENESS:
        message = f"at most {_LONGEST_LATENESS.days}d"
        raise ValueError(message)
    return length


def zone(text: str) -> ZoneInfo:
    """An IANA zone such as ``America/New_York``."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = sorted(available_timezones())
        message = "no such IANA zone" + (
            nearest(text, known) if known else "; this machine has no tzdata: install the package"
        )
        raise ValueError(message) from error


def one_of(*choices: str) -> Callable[[str], str]:
    """A parser for a choice, spelt exactly."""

    def parse(text: str) -> str:
        if text not in choices:
            message = f"there is no such choice{nearest(text, choices)}"
            raise ValueError(message)
        return text

    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser for a whole number within limits."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            message = f"write a whole number from {least} to {most}"
            raise ValueError(message)
        return int(text)

    return parse
