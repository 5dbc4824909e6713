"""What dates and currencies mean: exchange rates, fiscal calendar, fiscal periods."""

from __future__ import annotations

from contoso_sandbox.entities.notation import parse_properties
from contoso_sandbox.model import EntitySet

_EXCHANGE_RATE = """
    RateTypeName key; FromCurrency key; ToCurrency key; StartDate Date key; RateTypeDescription;
    Rate Rate; EndDate Date; ConversionFactor ExchangeRateDisplayFactor
"""

_FISCAL_DAY = """
    LedgerGregorianDateId key; PeriodRecId Int64; YearOffset Int32; CalendarRecId Int64; PeriodName;
    YearName; Quarter FiscalQuarter; LedgerRecId Int64; GregorianDate Date; QuarterOffset Int32;
    Month FiscalPeriodMonth; CalendarId; PeriodOffset Int32
"""

_FISCAL_PERIOD = """
    Calendar key; FiscalYear key; StartDate Date key; EndDate Date key; PeriodName key;
    Quarter FiscalQuarter; Days Int32; Comments; CalendarType CalendarTypeIn;
    Month FiscalPeriodMonth; Type FiscalPeriodType; ShortName
"""

EXCHANGE_RATES = EntitySet(
    name="ExchangeRates",
    entity="ExchangeRate",
    data_entity="ExchangeRateEntity",
    category="Reference",
    label="Exchange rates",
    label_id="@Contoso:ExchangeRates",
    properties=parse_properties(_EXCHANGE_RATE),
    key=("RateTypeName", "FromCurrency", "ToCurrency", "StartDate"),
)

FISCAL_CALENDARS = EntitySet(
    name="FiscalCalendars",
    entity="FiscalCalendar",
    data_entity="FiscalCalendarEntity",
    category="Reference",
    label="Fiscal calendar days",
    label_id="@Contoso:FiscalCalendars",
    properties=parse_properties(_FISCAL_DAY),
    key=("LedgerGregorianDateId",),
)

FISCAL_PERIODS = EntitySet(
    name="FiscalPeriods",
    entity="FiscalPeriod",
    data_entity="FiscalPeriodEntity",
    category="Reference",
    label="Fiscal calendar periods",
    label_id="@Contoso:FiscalPeriods",
    properties=parse_properties(_FISCAL_PERIOD),
    key=("Calendar", "FiscalYear", "StartDate", "EndDate", "PeriodName"),
)
