"""Public and market holidays, from the ``holidays`` library."""

from __future__ import annotations

from typing import TYPE_CHECKING

import holidays

from pipeline_ops.calendar.lines import nearest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    HolidayNames = Callable[[date], str | None]


def country_holidays(country: str, subdivision: str | None = None) -> HolidayNames:
    """Holidays of a country or one of its parts; days in lieu ("observed") included.

    Args:
        country: ISO 3166-1 code: ``US``, ``DE``.
        subdivision: Code of the state or region as the library has it: ``CA``, ``BY``.

    Raises:
        ValueError: the library does not know it; with the nearest that it knows.
    """
    countries = holidays.list_supported_countries(include_aliases=True)
    if country not in countries:
        message = f"no such country in the holidays library{nearest(country, sorted(countries))}"
        raise ValueError(message)
    parts = sorted(countries[country])
    if subdivision is not None and subdivision not in parts:
        message = f"{country} has no such subdivision{nearest(subdivision, parts)}"
        raise ValueError(message)
    return _names(holidays.country_holidays(country, subdiv=subdivision))


def market_holidays(market: str) -> HolidayNames:
    """Days on which a market or central bank is closed: ``NYSE``, ``ECB``, ``FED``.

    Raises:
        ValueError: the library does not know it; with the nearest that it knows.
    """
    markets = holidays.list_supported_financial(include_aliases=True)
    if market not in markets:
        raise ValueError(
            "no such market in the holidays library" + nearest(market, sorted(markets))
        )
    return _names(holidays.financial_holidays(market))


def _names(calendar: holidays.HolidayBase) -> HolidayNames:
    def name(day: date) -> str | None:
        # Outside these years the library answers "no holiday" for every day.
        if not calendar.start_year <= day.year <= calendar.end_year:
            message = (
                f"the holidays library knows {calendar.start_year} to {calendar.end_year} only, "
                f"not {day.year}"
            )
            raise ValueError(message)
        found = calendar.get(day)
        return str(found) if found is not None else None

    return name
