"""The comparison that all end-to-end tests end with can fail: floats fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.e2e.books import assert_same, expected_rows, through_floats
from tests.interop import cells

if TYPE_CHECKING:
    from contoso_sandbox.contoso import Contoso


@pytest.mark.parametrize(
    "name",
    [
        "ExchangeRates",
        "GeneralJournalAccountEntries",
        "GeneralJournalAccountEntryBiEntities",
        "PurchaseOrderLinesV2",
        "VendInvoiceJourBiEntities",
        "VendTransBiEntities",
        "VendorsV2",
    ],
)
def test_books_read_through_floats_are_not_the_books(contoso: Contoso, name: str) -> None:
    books = expected_rows(contoso.world, contoso.world.environment.entity_sets[name])
    for compare in (assert_same, cells.assert_same):
        compare(name, books, books)
        with pytest.raises(AssertionError, match=r"Decimal\("):
            compare(name, books, through_floats(books))
