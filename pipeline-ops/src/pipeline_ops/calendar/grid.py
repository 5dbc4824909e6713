"""A month as a picture: working days, holidays and events on a wall calendar."""

from __future__ import annotations

import calendar as months
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipeline_ops.calendar.workdays import WEEKDAYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline_ops.calendar.periods import Period
    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import Group

_LEAST_WIDTH = 12
_MOST_WIDTH = 20
_COUNTED = 10


def month_grid(
    first: date, group: Group, periods: Sequence[Period], planned: Sequence[Planned]
) -> list[str]:
    """The month of ``first`` for one group: a column a weekday, a row of cells a week.

    Args:
        first: The month's first day.
        group: Whose working days and zone count.
        periods: Those that may end near the month; their working days are numbered WD1 to WD10 and
            WD-3 to WD-1.
        planned: Events of the group; those of other months are left out.
    """
    labels = _labels(group, periods)
    events: dict[date, list[str]] = {}
    for each in planned:
        text = f"{each.local:%H:%M} {each.key.event}"
        events.setdefault(each.local.date(), []).append(text)
    longest = max((len(text) for texts in events.values() for text in texts), default=0)
    width = min(_MOST_WIDTH, max(_LEAST_WIDTH, longest + 2))
    lines = [f"{first:%B %Y}  {group.name}  ({group.zone.key})"]
    lines.append(_rule(width))
    lines.append(_row([day[:3] for day in WEEKDAYS], width))
    for week in months.Calendar().monthdatescalendar(first.year, first.month):
        lines.append(_rule(width))
        cells = [
            _cell(day, group, labels, events) if day.month == first.month else [] for day in week
        ]
        lines += [
            _row([cell[row] if row < len(cell) else "" for cell in cells], width)
            for row in range(max(map(len, cells)))
        ]
    lines.append(_rule(width))
    return lines


def _cell(
    day: date, group: Group, labels: Mapping[date, str], events: Mapping[date, list[str]]
) -> list[str]:
    why = group.days.why_off(day)
    beside = labels.get(day, "") if why is None else "-"
    cell = [f"{day.day:>2} {beside}"]
    if why not in {None, "weekend"}:
        cell.append(str(why))
    return cell + events.get(day, [])


def _labels(group: Group, periods: Sequence[Period]) -> dict[date, str]:
    labels: dict[date, str] = {}
    for period in periods:
        numbers = [*range(-3, 0), *range(1, _COUNTED + 1)]
        for number in numbers:
            labels.setdefault(group.days.nth_from(period.end, number), f"WD{number}")
        if group.days.why_off(period.end):
            continue
        labels[period.end] = "WD-1 end"
    return labels


def _row(cells: Sequence[str], width: int) -> str:
    return "|" + "|".join(f" {cell[: width - 1]:<{width - 1}}" for cell in cells) + "|"


def _rule(width: int) -> str:
    return "+" + "+".join("-" * width for _ in WEEKDAYS) + "+"


def months_of(first: date) -> tuple[date, date]:
    """The first and last day of a month."""
    last = months.monthrange(first.year, first.month)[1]
    return first, first + timedelta(days=last - 1)
