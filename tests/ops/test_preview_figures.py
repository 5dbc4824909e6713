"""What the charts show, worked out of grouped rows."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_ops.pages.numbers import exact, share, short, total
from pipeline_ops.preview.figures import age, bucket_of, ledger_by_period, spend_by_vendor


def test_the_rest_is_what_the_top_fifteen_leave() -> None:
    rows = [("usmf", f"V{n:02d}", "USD", 2, Decimal(n)) for n in range(1, 19)]
    (spend,) = spend_by_vendor(rows, {("usmf", "V18"): "Fabrikam"})
    assert [vendor.name for vendor in spend.top[:2]] == ["Fabrikam", "V17"]
    assert len(spend.top) == 15
    assert spend.rest is not None
    assert (spend.rest.name, spend.rest.amount) == ("3 other vendors", Decimal(6))
    assert (spend.total, spend.invoices) == (Decimal(171), 36)


def test_currencies_are_never_added_up() -> None:
    rows = [("usmf", "V", "USD", 1, Decimal(10)), ("demf", "V", "EUR", 1, Decimal(20))]
    assert {s.currency: s.total for s in spend_by_vendor(rows, {})} == {
        "USD": Decimal(10),
        "EUR": Decimal(20),
    }
    assert len(age([("usmf", "USD", 1, Decimal(1)), ("demf", "EUR", 1, Decimal(1))])) == 2


def test_sums_keep_every_digit() -> None:
    """Python's own context would round to 28 of them."""
    large = Decimal("99999999999999999999999999999999.000001")
    assert total([large, large]) == Decimal("199999999999999999999999999999998.000002")
    (spend,) = spend_by_vendor([("a", str(n), "USD", 1, large) for n in range(20)], {})
    assert spend.total == Decimal("1999999999999999999999999999999980.00002")


@pytest.mark.parametrize(
    ("days", "name"),
    [
        pytest.param(-40, "Not due", id="due later"),
        pytest.param(0, "Not due", id="due today"),
        pytest.param(1, "1\N{EN DASH}30 days", id="one day"),
        pytest.param(30, "1\N{EN DASH}30 days", id="the last of the first bucket"),
        pytest.param(31, "31\N{EN DASH}60 days", id="the first of the second"),
        pytest.param(90, "61\N{EN DASH}90 days", id="ninety"),
        pytest.param(91, "Over 90 days", id="more"),
        pytest.param(None, "No due date", id="undated"),
    ],
)
def test_bucket_of(days: int | None, name: str) -> None:
    assert bucket_of(days) == name


def test_ageing_tells_undated_only_where_there_are_some() -> None:
    (dated,) = age([("usmf", "USD", 5, Decimal("1.10")), ("demf", "USD", 5, Decimal("2.20"))])
    assert "No due date" not in dated.buckets
    assert dated.buckets["1\N{EN DASH}30 days"] == Decimal("3.30")
    assert dated.of_company("demf") == Decimal("2.20")
    (undated,) = age([("usmf", "USD", None, Decimal(1))])
    assert undated.buckets["No due date"] == Decimal(1)


def test_months_without_postings_are_on_the_axis_and_not_in_the_table() -> None:
    rows = [
        ("usmf", "USD", 202511, Decimal(5), Decimal(-5), 2),
        ("usmf", "USD", 202602, Decimal(7), Decimal(-6), 2),
        ("usmf", "USD", None, Decimal(9), Decimal(0), 1),
    ]
    (periods,) = ledger_by_period(rows)
    assert periods.months == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert [(name, str(month.balance)) for _, name, month in periods.rows] == [
        ("2025-11", "0"),
        ("2026-02", "1"),
        ("without a date", "9"),
    ]


@pytest.mark.parametrize(
    ("value", "told", "shortly"),
    [
        pytest.param("0", "0.00", "0.00", id="zero"),
        pytest.param("1234.5", "1,234.50", "1.23 k", id="two digits at least"),
        pytest.param(
            "-1234.567800", "\N{MINUS SIGN}1,234.5678", "\N{MINUS SIGN}1.23 k", id="all that count"
        ),
        pytest.param("1E+3", "1,000.00", "1.00 k", id="an exponent"),
        pytest.param("90071992547409929.99", "90,071,992,547,409,929.99", "90,072 T", id="large"),
        pytest.param("12345678.9", "12,345,678.90", "12.3 M", id="millions"),
    ],
)
def test_figures_as_text(value: str, told: str, shortly: str) -> None:
    assert (exact(Decimal(value)), short(Decimal(value))) == (told, shortly)


def test_share_of_nothing_is_none() -> None:
    assert share(Decimal(1), Decimal(0)) == "\N{EN DASH}"
    assert share(Decimal(1), Decimal(3)) == "33.3 %"


MINUS = "\N{MINUS SIGN}"


@given(st.decimals(-(10**31), 10**31, allow_nan=False, allow_infinity=False, places=6))
def test_a_figure_as_text_is_the_figure(value: Decimal) -> None:
    assert Decimal(exact(value).replace(",", "").replace(MINUS, "-")) == value


@given(st.decimals(-(10**17), 10**17, allow_nan=False, allow_infinity=False, places=2))
def test_a_short_figure_is_within_half_a_percent(value: Decimal) -> None:
    number, _, unit = short(value).partition(" ")
    size = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[unit]
    told = Decimal(number.replace(",", "").replace(MINUS, "-")) * size
    assert abs(told - value) <= abs(value) / 200
