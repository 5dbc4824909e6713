"""Fiscal calendars: every day of 2025 to 2027 for each ledger, and the periods that days lie in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contoso_sandbox.world.posting import Posting

FIRST_DAY = date(2025, 1, 1)
LAST_DAY = date(2027, 12, 31)

_MONTHS = 12
_CALENDAR_REC_IDS = {"Fiscal": 5_637_144_576, "April": 5_637_144_577}
#: Month in which the fiscal years of a calendar begin.
_FIRST_MONTHS = {"Fiscal": 1, "April": 4}


@dataclass(frozen=True, slots=True)
class _Period:
    calendar: str
    year: str
    name: str
    starts: date
    ends: date
    kind: str
    month: int

    @property
    def quarter(self) -> int:
        return (self.month - 1) // 3 + 1


def open_calendars(posting: Posting) -> None:
    """Write fiscal periods and fiscal days, and the books' own record of the periods."""
    periods = [p for calendar in _FIRST_MONTHS for p in _periods_of(calendar)]
    posting.insert_rows("FiscalPeriods", [_period_row(period) for period in periods])
    posting.execute(
        """
        INSERT INTO books.period
        SELECT c.company, p.StartDate, p.EndDate, p.__rec_id,
            dense_rank() OVER (ORDER BY p.Calendar, p.FiscalYear) + 5637144575,
            p.PeriodName, p.FiscalYear
        FROM FiscalPeriods AS p JOIN books.company AS c ON c.calendar = p.Calendar
        WHERE p.Type = 'Operating'
        """
    )
    posting.insert(
        "FiscalCalendars",
        """
        SELECT concat(c.ledger, '-', strftime(d.day, '%Y%m%d')) AS LedgerGregorianDateId,
            p.period AS PeriodRecId, p.period_name AS PeriodName, p.year_name AS YearName,
            c.ledger AS LedgerRecId, c.calendar AS CalendarId,
            CASE c.calendar WHEN 'Fiscal' THEN 5637144576 ELSE 5637144577 END AS CalendarRecId,
            books.noon(d.day) AS GregorianDate, f.Quarter, f.Month,
            -- Counted from the calendar's first year: a figure relative to today would change
            -- every row at each month's end.
            CAST(p.year - min(p.year) OVER (PARTITION BY c.company) AS INTEGER) AS YearOffset,
            CAST(dense_rank() OVER (PARTITION BY c.company ORDER BY p.starts) - 1 AS INTEGER)
                AS PeriodOffset,
            CAST(dense_rank() OVER (PARTITION BY c.company ORDER BY p.year_name, f.Quarter) - 1
                AS INTEGER) AS QuarterOffset,
            row_number() OVER (ORDER BY c.ledger, d.day) - 1 AS nth
        FROM range($first::DATE, $last::DATE + 1, INTERVAL 1 DAY) AS d(day)
        JOIN books.period AS p ON d.day BETWEEN p.starts AND p.ends
        JOIN books.company AS c ON c.company = p.company
        JOIN FiscalPeriods AS f ON f.__rec_id = p.period
        """,
        first=FIRST_DAY,
        last=LAST_DAY,
    )


def _periods_of(calendar: str) -> Iterator[_Period]:
    first_month = _FIRST_MONTHS[calendar]
    first_year = FIRST_DAY.year if first_month == 1 else FIRST_DAY.year - 1
    for year in range(first_year, LAST_DAY.year + 1):
        starts = date(year, first_month, 1)
        ends = _month_start(year, first_month + _MONTHS) - timedelta(days=1)
        label = str(year) if first_month == 1 else f"{year}/{year + 1}"
        yield _Period(calendar, label, "Opening", starts, starts, "Opening", 1)
        for number in range(1, _MONTHS + 1):
            month_starts = _month_start(year, first_month + number - 1)
            month_ends = _month_start(year, first_month + number) - timedelta(days=1)
            name = f"Period {number}"
            yield _Period(calendar, label, name, month_starts, month_ends, "Operating", number)
        yield _Period(calendar, label, "Closing", ends, ends, "Closing", _MONTHS)


def _month_start(year: int, month: int) -> date:
    """First day of a month counted from January of ``year``; 13 is the next January."""
    return date(year + (month - 1) // _MONTHS, (month - 1) % _MONTHS + 1, 1)


def _period_row(period: _Period) -> dict[str, object]:
    return {
        "Calendar": period.calendar,
        "FiscalYear": period.year,
        "PeriodName": period.name,
        "ShortName": "".join(word[:1] for word in period.name.split()[:1])
        + period.name.partition(" ")[2],
        "StartDate": f"{period.starts} 12:00:00",
        "EndDate": f"{period.ends} 12:00:00",
        "Days": (period.ends - period.starts).days + 1,
        "Type": period.kind,
        "Month": f"Month{period.month}",
        "Quarter": f"Q{period.quarter}",
        "Comments": f"{period.starts:%B %Y}" if period.kind == "Operating" else "",
    }
