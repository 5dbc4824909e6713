"""Values become exactly what their column's type can say, or are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_tableau_hyper.extract.schema import Column, Kind
from target_tableau_hyper.extract.values import (
    UnfitAtError,
    digits_of,
    numeric_to_arrow,
    to_arrow,
    whole_digits,
)

NOON = datetime(2024, 3, 31, 12, tzinfo=UTC)


def column(kind: Kind, **more: Any) -> Column:  # noqa: ANN401
    return Column("c", kind, **more)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        pytest.param(Kind.TEXT, "a\0b", "a\0b", id="NUL is kept"),
        pytest.param(Kind.TEXT, " 😀\"'\\", " 😀\"'\\", id="blanks, emoji, quotes"),
        pytest.param(Kind.TEXT, "", "", id="empty text is not null"),
        pytest.param(Kind.TEXT, {"a": Decimal("1.50")}, '{"a":1.50}', id="object as JSON"),
        pytest.param(Kind.TEXT, [1, None, "x"], '[1,null,"x"]', id="array as JSON"),
        pytest.param(Kind.TEXT, 5, "5", id="number in a text column"),
        pytest.param(Kind.TEXT, True, "true", id="flag in a text column"),
        pytest.param(Kind.INTEGER, 2**63 - 1, 2**63 - 1, id="largest integer"),
        pytest.param(Kind.INTEGER, -(2**63), -(2**63), id="smallest integer"),
        pytest.param(Kind.INTEGER, Decimal("7.0"), 7, id="whole number with a fraction of zero"),
        pytest.param(Kind.BOOLEAN, False, False, id="false"),
        pytest.param(Kind.DATE, "2024-02-29", date(2024, 2, 29), id="leap day"),
        pytest.param(Kind.DATE, "0001-01-01", date(1, 1, 1), id="first date"),
        pytest.param(Kind.DATE, "2024-03-31T00:00:00Z", date(2024, 3, 31), id="midnight"),
        pytest.param(Kind.TIME, "23:59:59.999999", time(23, 59, 59, 999999), id="time"),
        pytest.param(Kind.TIME, "01:00:00+02:00", time(23), id="time with offset becomes UTC"),
        pytest.param(Kind.TIMESTAMP, "2024-03-31T12:00:00Z", NOON, id="UTC"),
        pytest.param(Kind.TIMESTAMP, "2024-03-31T14:00:00+02:00", NOON, id="offset"),
        pytest.param(Kind.TIMESTAMP, "2024-03-31T07:00:00-0500", NOON, id="offset, no colon"),
        pytest.param(Kind.TIMESTAMP, "2024-03-31T12:00:00", NOON, id="no offset means UTC"),
        pytest.param(Kind.TIMESTAMP, "2024-03-31 12:00:00Z", NOON, id="blank for T"),
        pytest.param(
            Kind.TIMESTAMP,
            "2024-03-31T12:00:00.1234567Z",
            NOON.replace(microsecond=123456),
            id="seven decimals are cut to microseconds",
        ),
        pytest.param(
            Kind.TIMESTAMP,
            "9999-12-31T23:59:59Z",
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
            id="last instant",
        ),
    ],
)
def test_value_is_stored_exactly(kind: Kind, value: object, stored: object) -> None:
    array = to_arrow(column(kind), [None, value], strict=True)
    assert array.to_pylist() == [None, stored]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        pytest.param(Kind.INTEGER, 2**63, "64 bits", id="integer beyond 64 bits"),
        pytest.param(Kind.INTEGER, Decimal("1.5"), "expected integer", id="fraction, never cut"),
        pytest.param(Kind.INTEGER, True, "found boolean", id="flag for an integer"),
        pytest.param(Kind.INTEGER, "5", "found string", id="digits in a string"),
        pytest.param(Kind.BOOLEAN, 1, "found integer", id="number for a flag"),
        pytest.param(Kind.BOOLEAN, {}, "found object", id="object for a flag"),
        pytest.param(Kind.DATE, "2024-02-30", "no date", id="no such day"),
        pytest.param(Kind.DATE, "2024-03-31T12:00:00Z", "time of day", id="noon is no date"),
        pytest.param(Kind.DATE, 20240331, "found integer", id="number for a date"),
        pytest.param(Kind.TIME, "25:00", "no time", id="no such time"),
        pytest.param(Kind.TIMESTAMP, "10000-01-01T00:00:00Z", "no date-time", id="year 10000"),
        pytest.param(Kind.TIMESTAMP, "yesterday", "no date-time", id="words"),
        pytest.param(Kind.TIMESTAMP, "0001-01-01T00:00:00+14:00", "no date-time", id="before 1"),
        pytest.param(Kind.TEXT, "\ud800", "surrogate", id="half a surrogate pair"),
    ],
)
def test_value_that_does_not_fit_is_refused_by_position(
    kind: Kind, value: object, reason: str
) -> None:
    with pytest.raises(UnfitAtError, match=reason) as caught:
        to_arrow(column(kind), [None, None, value], strict=True)
    assert caught.value.position == 2


def test_text_column_for_strings_only_refuses_others_when_strict() -> None:
    strings = column(Kind.TEXT, only_strings=True)
    with pytest.raises(UnfitAtError, match="expected string, found object"):
        to_arrow(strings, ["a", {}], strict=True)
    assert to_arrow(strings, ["a", {}], strict=False).to_pylist() == ["a", "{}"]


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        pytest.param(Kind.INTEGER, "5", 5, id="digits"),
        pytest.param(Kind.BOOLEAN, 1, True, id="one"),
        pytest.param(Kind.NUMERIC, " 1.50 ", Decimal("1.50"), id="decimal with blanks"),
    ],
)
def test_lenient_columns_take_what_fits_without_loss(
    kind: Kind, value: object, stored: object
) -> None:
    if kind is Kind.NUMERIC:
        array = numeric_to_arrow([value], 2, strict=False, column=column(kind))
    else:
        array = to_arrow(column(kind), [value], strict=False)
    assert array.to_pylist() == [stored]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param("1.5", "found string", id="string without the decimal format"),
        pytest.param(True, "found boolean", id="flag"),
        pytest.param(10**38, "more than the 38", id="too many digits"),
        pytest.param(Decimal("1e-37"), "more than the 38", id="too many places beside a large one"),
    ],
)
def test_number_that_does_not_fit_is_refused(value: object, reason: str) -> None:
    with pytest.raises(UnfitAtError, match=reason) as caught:
        numeric_to_arrow([Decimal(10) ** 5, value], 2, strict=True, column=column(Kind.NUMERIC))
    assert caught.value.position == 1


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "twelve"])
def test_decimal_string_that_is_no_number_is_refused(text: str) -> None:
    decimals = column(Kind.NUMERIC, decimal_strings=True)
    with pytest.raises(UnfitAtError):
        numeric_to_arrow([text], 2, strict=True, column=decimals)


@given(
    st.lists(
        st.none()
        | st.decimals(min_value=-(10**18), max_value=10**18, places=16)
        | st.integers(-(10**18), 10**18)
        | st.sampled_from([Decimal("-0.05"), Decimal("0E-30"), Decimal("1E+3"), Decimal("1E-7")])
    )
)
def test_decimals_survive_with_all_digits(values: list[Decimal | int | None]) -> None:
    array = numeric_to_arrow(values, 2, strict=True, column=column(Kind.NUMERIC))
    assert array.to_pylist() == values
    assert array.type.scale >= 2


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_digits_before_and_after_the_point_are_those_of_the_plain_text(number: Decimal) -> None:
    whole, places = digits_of(number)
    text = format(number, "f").lstrip("-")  # abs() would round to 28 digits
    before, _, after = text.partition(".")
    assert whole == len(before.lstrip("0"))
    assert places == len(after.rstrip("0"))


def test_whole_digits_of_a_column_are_those_of_its_largest_value() -> None:
    decimals = column(Kind.NUMERIC)
    array = numeric_to_arrow([None, Decimal("-1234.5"), 3], 2, strict=True, column=decimals)
    assert whole_digits(array) == 4
    assert whole_digits(array.slice(0, 1)) == 0
