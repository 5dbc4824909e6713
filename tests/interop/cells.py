"""Compare what a target stored with the books, cell by cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.books import Rows

#: Per company with decimals, wide, shared, the ledger, and one with deletions.
SETS = (
    "ExchangeRates",
    "GeneralJournalAccountEntryBiEntities",
    "MainAccounts",
    "PurchaseOrderHeadersV2",
    "VendTransBiEntities",
    "VendorsV2",
)


def assert_same(name: str, expected: Rows, stored: Rows) -> None:
    """Same keys, and in each column of the books the same value of the same type."""
    assert expected, name
    assert stored.keys() == expected.keys(), name
    for key, row in expected.items():
        different = {
            column: (value, stored[key].get(column, "no such column"))
            for column, value in row.items()
            if not _same(value, stored[key].get(column, "no such column"))
        }
        assert not different, (name, key, different)


def _same(expected: object, stored: object) -> bool:
    """Equal and of one type: ``Decimal("0.5") == 0.5`` holds, and a float is what must not be."""
    return expected == stored and type(expected) is type(stored)
