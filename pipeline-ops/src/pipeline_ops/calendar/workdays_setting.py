"""The parts ``weekend:`` and ``holidays:`` of ``close_calendar.yml``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline_ops.calendar import scalars
from pipeline_ops.calendar.made_periods import weekday_number
from pipeline_ops.calendar.public_holidays import country_holidays, market_holidays

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from pipeline_ops.calendar.lines import Value
    from pipeline_ops.calendar.public_holidays import HolidayNames
    from pipeline_ops.calendar.workdays import WorkingDays

_PARTS = ("country", "subdivision", "market", "off", "worked")
_DAYS_A_WEEK = 7


def read_days(given: Mapping[str, Value], base: WorkingDays) -> WorkingDays:
    """``base`` with what ``weekend`` and ``holidays`` change.

    A public calendar replaces the inherited one; own days add to the inherited ones, and the
    innermost word on a day counts.

    Raises:
        ConfigError: names the line.
    """
    days = base
    if "weekend" in given:
        days = replace(days, weekend=_weekend(given["weekend"]))
    if "holidays" not in given:
        return days
    parts = given["holidays"].section(_PARTS)
    public = _public(given["holidays"], parts)
    off = _own_days(parts["off"]) if "off" in parts else {}
    worked = {value.parsed(scalars.day): value for value in _items(parts, "worked")}
    for day, value in worked.items():
        if day in off:
            value.fail(f"has {day}, which `off` has, too")
    return replace(
        days,
        holiday=public or days.holiday,
        off={d: why for d, why in {**days.off, **off}.items() if d not in worked},
        worked=frozenset((days.worked - off.keys()) | worked.keys()),
    )


def _items(parts: Mapping[str, Value], name: str) -> tuple[Value, ...]:
    return parts[name].items() if name in parts else ()


def _weekend(given: Value) -> frozenset[int]:
    if given.is_list and not given.items():
        return frozenset()
    found = frozenset(value.parsed(weekday_number) for value in given.items())
    if len(found) == _DAYS_A_WEEK:
        given.fail("leaves no day to work on")
    return found


def _public(given: Value, parts: Mapping[str, Value]) -> HolidayNames | None:
    if "market" in parts:
        if "country" in parts:
            parts["market"].fail("and country do not go together; choose one of them")
        if "subdivision" in parts:
            parts["subdivision"].fail("goes with a country, not with a market")
        return parts["market"].parsed(market_holidays)
    if "country" not in parts:
        if "subdivision" in parts:
            given.fail("has a subdivision without its country")
        return None
    country = parts["country"].text()
    found = parts["country"].parsed(country_holidays)
    if "subdivision" in parts:
        return parts["subdivision"].parsed(lambda part: country_holidays(country, part))
    return found


def _own_days(given: Value) -> dict[date, str]:
    """A list of days, or days with a name: ``2026-12-24: Christmas Eve``."""
    if not given.is_mapping:
        return {value.parsed(scalars.day): "own day off" for value in given.items()}
    found = {}
    for name, value in given.entries():
        try:
            found[scalars.day(name)] = value.text()
        except ValueError as error:
            value.fail(str(error))
    return found
