"""Values at the edge of what F&O can hold: to the last digit and letter, or refused (T19)."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.faults.ways import CURSOR, FIRST, FULL

from contoso_sandbox.faults import body
from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from tests.faults.conftest import Bench

    from contoso_sandbox.faults import Action

SMALLEST = Decimal("0.000001")
LARGEST = Decimal("99999999999999999999999999.999999")  # Real: 32 digits, 6 behind the point
LEAST = Decimal(f"-{LARGEST}")  # not "-LARGEST": a minus rounds to 28 digits

amounts = st.one_of(
    st.sampled_from(
        [SMALLEST, -SMALLEST, LARGEST, LEAST, Decimal(0), Decimal("-0.05"), Decimal("0.1")]
    ),
    st.integers(-(10**32) + 1, 10**32 - 1).map(lambda millionths: Decimal(f"{millionths}E-6")),
)

#: All but surrogates, which have no UTF-8: those come as escapes, below.
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(
        [
            *("", " ", "\x00", "a\x00b", "\x1f", "\x7f", "\x85", "\u2028", "\ufeff", "\uffff"),
            *("=1+1", "@x", '"', "\\", "\\u0041", "\r\n", "\N{PILE OF POO}", "e\u0301", "null"),
        ]
    ),
)

instants = st.sampled_from(
    [
        *(datetime(1900, 1, 1, 12), datetime(1900, 1, 2, 12), datetime(2154, 12, 31, 12)),  # noqa: DTZ001 - as stored
        *(datetime(9999, 12, 31, 12), datetime(1, 1, 1, 12), datetime(2024, 2, 29, 12)),  # noqa: DTZ001 - as stored
    ]
)


@given(
    st.lists(st.tuples(amounts, texts, instants), min_size=40, max_size=40),
)
@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_t19_every_value_that_can_be_stored_comes_as_it_is(
    bench: Bench, rows: list[tuple[Decimal, str, datetime]]
) -> None:
    write(bench, rows)
    bench.survives(CURSOR)


def write(bench: Bench, rows: list[tuple[Decimal, str, datetime]]) -> None:
    """Put the values into the first rows of the cursor's set."""
    with bench.contoso.world.cursor() as cursor:
        ids = cursor.execute(
            'SELECT __rec_id FROM "VendTransBiEntities" '
            "WHERE lower(\"dataAreaId\") = 'usmf' ORDER BY 1"
        ).fetchall()
        for (rec_id,), (amount, text, date) in zip(ids, rows, strict=False):
            cursor.execute(
                'UPDATE "VendTransBiEntities" SET "AmountCur" = ?, "Txt" = ?, "Closed" = ?, '
                "__rec_version = __rec_version + 1 WHERE __rec_id = ?",
                [amount, text, date, rec_id],
            )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 65_536, id="T19 64 kB"),
        pytest.param("ß€\N{PILE OF POO}\n" * 9_000, id="T19 64 kB of long letters"),
        pytest.param('"\\' * 30_000, id="T19 64 kB of escapes"),
    ],
)
def test_t19_long_texts_come_whole(bench: Bench, text: str) -> None:
    write(bench, [(Decimal(1), text, datetime(2024, 2, 29, 12))])  # noqa: DTZ001 - as stored
    bench.survives(CURSOR)


def test_t19_totals_of_the_largest_amounts_are_exact(bench: Bench) -> None:
    """The sum has more digits than any amount; the figures are compared on every run."""
    write(bench, [(LARGEST, "", datetime(2024, 2, 29, 12))] * 60)  # noqa: DTZ001 - as stored
    run = bench.survives(CURSOR)
    totals = run.state["audit"]["streams"]["VendTransBiEntities"]["totals"]
    assert Decimal(totals["AmountCur"]) >= 60 * LARGEST - 10**12


@pytest.mark.parametrize(
    ("token", "value"),
    [
        pytest.param("1e5", Decimal(100000), id="T19 an exponent"),
        pytest.param("1.5E-7", Decimal("0.00000015"), id="T19 a small exponent"),
        pytest.param("12345678901234567890123456.123456789", None, id="T19 35 digits"),
        pytest.param("-0.0", Decimal(0), id="T19 minus nothing"),
        pytest.param("99999999999999999999999999", None, id="T19 a whole number of 26 digits"),
    ],
)
def test_t19_a_number_keeps_its_digits_however_it_is_written(
    bench: Bench, token: str, value: Decimal | None
) -> None:
    run, _ = bench.run_way(FULL, FIRST.fault(number(token), FULL))
    assert run.error is None
    expected = Decimal(token) if value is None else value
    assert expected in [r["LineAmount"] for r in run.output.records(FULL.entity_set)]


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("1e400", id="T19 beyond every number"),
        pytest.param("1e-400", id="T19 below every number"),
        pytest.param("1" * 400, id="T19 400 digits"),
    ],
)
def test_t19_a_number_beyond_all_money_is_refused(bench: Bench, token: str) -> None:
    run = bench.converges(FULL, FIRST.fault(number(token), FULL, times=99))
    assert isinstance(run.error, DataError), repr(run.error)


@pytest.mark.parametrize(
    "escape", [pytest.param(r"\ud800", id="T19 high"), pytest.param(r"\udc00x", id="T19 low")]
)
def test_t19_half_a_character_is_refused(bench: Bench, escape: str) -> None:
    """A lone surrogate has no UTF-8: it cannot be written on, and is not replaced in silence."""
    half = body(lambda text: text.replace(b"canary-in-a-row", escape.encode(), 1), "half")
    run = bench.converges(FULL, FIRST.fault(half, FULL, times=99))
    assert isinstance(run.error, DataError), repr(run.error)


def number(token: str) -> Action:
    """Write ``token`` for the first amount of a page."""

    pattern = rb'("LineAmount":)[-+0-9.eE]+'
    return body(lambda text: re.sub(pattern, rb"\g<1>" + token.encode(), text, count=1), token)
