"""Sums of whole columns: those of Python, however large, where Arrow's would wrap around."""

from __future__ import annotations

from decimal import Context, Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_tableau_hyper.extract.arrow_columns import exact_sum
from target_tableau_hyper.extract.values import whole_digits

_EXACT = Context(prec=200)

#: Around the ends of 64-bit integers and of 38 digits, where a sum may or may not fit.
integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-100, 100)
decimals = st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**12), 10**12)


@given(st.lists(st.none() | integers, max_size=30))
def test_of_integers(values: list[int | None]) -> None:
    there = [value for value in values if value is not None]
    expected = sum(there) if there else None
    assert exact_sum(pa.array(values, pa.int64())) == expected


@given(st.lists(st.none() | decimals, max_size=30), st.integers(0, 38))
def test_of_decimals(unscaled: list[int | None], scale: int) -> None:
    values = [None if v is None else Decimal(v).scaleb(-scale, _EXACT) for v in unscaled]
    there = [v for v in unscaled if v is not None]
    expected = Decimal(sum(there)).scaleb(-scale, _EXACT) if there else None
    column = pa.array(values, pa.decimal128(38, scale))
    assert exact_sum(column) == expected
    digits = len(str(max(map(abs, there), default=0)))
    assert whole_digits(column) == (max(0, digits - scale) if any(there) else 0)


@pytest.mark.parametrize("last", [-1, 0, 1])
def test_just_below_and_just_above_what_a_type_holds(last: int) -> None:
    half = 5 * 10**37
    column = pa.array([Decimal(half), Decimal(half + last)], pa.decimal128(38, 0))
    assert exact_sum(column) == 10**38 + last
    numbers = pa.array([2**62, 2**62 + last], pa.int64())
    assert exact_sum(numbers) == 2**63 + last
