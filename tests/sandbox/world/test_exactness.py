"""Whoever reads Contoso through floats has other books: else its equality would prove little."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

from contextlib import closing
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import pytest

from contoso_sandbox.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

COLUMNS = [
    pytest.param(name, column, id=f"{name}.{column}")
    for name, columns in {
        "ExchangeRates": ["Rate"],
        "GeneralJournalAccountEntries": [
            *("AccountingCurrencyAmount", "ReportingCurrencyAmount", "TransactionCurrencyAmount"),
        ],
        "GeneralJournalAccountEntryBiEntities": [
            *("AccountingCurrencyAmount", "ReportingCurrencyAmount", "TransactionCurrencyAmount"),
        ],
        "PurchaseOrderLinesV2": ["LineAmount", "OrderedPurchaseQuantity", "PurchasePrice"],
        "VendInvoiceJourBiEntities": ["InvoiceAmount", "InvoiceAmountMST", "SalesBalance"],
        "VendTransBiEntities": [
            *("AmountCur", "AmountMST", "ReportingCurrencyAmount", "ExchRate"),
        ],
        "VendorsV2": ["CreditLimit"],
    }.items()
    for column in columns
]
#: What a double keeps of any decimal.
DIGITS_OF_A_DOUBLE = 17


@pytest.fixture(scope="module")
def smallest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing(World.open(tmp_path_factory.mktemp("smallest"), scale=0.001)) as made:
        yield made


@pytest.fixture(params=["the smallest", "the demo's", "after six days"])
def any_books(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor on worlds of three sizes and two ages."""
    match request.param:
        case "the smallest":
            world = request.getfixturevalue("smallest")
        case "the demo's":
            world = request.getfixturevalue("world")
        case _:
            world, _ = request.getfixturevalue("moved")
    with world.cursor() as cursor:
        yield cursor


def values(cursor: duckdb.DuckDBPyConnection, name: str, column: str) -> list[Decimal]:
    rows = cursor.execute(f"SELECT {column} FROM {name} ORDER BY __rec_id").fetchall()
    return [value for (value,) in rows]


def through_a_float(value: Decimal) -> Decimal:
    """The shortest decimal of the nearest double: the kindest way there is."""
    return Decimal(repr(float(value)))


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_float_changes_cells(
    any_books: duckdb.DuckDBPyConnection, name: str, column: str
) -> None:
    amounts = values(any_books, name, column)
    changed = [value for value in amounts if through_a_float(value) != value]
    assert changed
    assert max(len(value.normalize().as_tuple().digits) for value in changed) > DIGITS_OF_A_DOUBLE


@pytest.mark.parametrize(("name", "column"), COLUMNS)
def test_a_float_changes_the_sum(
    any_books: duckdb.DuckDBPyConnection, name: str, column: str
) -> None:
    amounts = values(any_books, name, column)
    with localcontext(prec=60):
        exact = sum(amounts, Decimal())
        assert through_a_float(exact) != exact or not exact
    assert Decimal(repr(sum(map(float, amounts)))) != exact


@pytest.mark.parametrize("column", ["AccountingCurrencyAmount", "TransactionCurrencyAmount"])
def test_a_journal_that_balances_is_off_by_a_cent_in_floats(
    any_books: duckdb.DuckDBPyConnection, column: str
) -> None:
    lines = any_books.execute(
        f"SELECT {column} FROM GeneralJournalAccountEntries WHERE Voucher = 'US-GNJL-HURTS'"
        f" ORDER BY GeneralJournalAccountEntryRecId"
    ).fetchall()
    assert sum(amount for (amount,) in lines) == 0
    assert abs(sum(float(amount) for (amount,) in lines)) > 0.01


def test_rates_use_all_sixteen_places(any_books: duckdb.DuckDBPyConnection) -> None:
    rates = values(any_books, "ExchangeRates", "Rate")
    places = [-int(rate.normalize().as_tuple().exponent) for rate in rates]
    assert max(places) == 16
    assert sum(count == 16 for count in places) > len(places) / 2
