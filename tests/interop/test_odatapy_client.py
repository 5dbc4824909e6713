"""The sandbox against a strict reader: odatapy's client, unmodified.

It signs in at the sandbox's Entra ID with the client credentials flow, loads the model from
``$metadata``, and refuses values that do not fit the types declared there. It walks through every
page of every set over all companies, and every cell is compared with Contoso's database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.books import by_key, expected_rows
from tests.interop.cells import assert_same
from tests.interop.peers import ODATAPY
from tests.interop.strangers import as_in_the_books, read_with, vendors_of

from contoso_sandbox.entities import contoso_environment

if TYPE_CHECKING:
    from contoso_sandbox.contoso import Contoso

SETS = tuple(contoso_environment().entity_sets)


@pytest.fixture(scope="module")
def read(contoso: Contoso) -> dict[str, Any]:
    credentials = contoso.credentials
    return read_with(
        ODATAPY,
        "odatapy_client_reads.py",
        contoso.d365_url,
        f"{contoso.entra_url}/{credentials.tenant_id}/oauth2/v2.0/token",
        credentials.client_id,
        SSL_CERT_FILE=str(contoso.ca_bundle),
        CLIENT_SECRET=credentials.client_secret,
    )


def test_it_finds_every_set(read: dict[str, Any]) -> None:
    assert read["rows"].keys() == set(SETS)


@pytest.mark.parametrize("name", SETS)
def test_every_cell_is_that_of_the_books(read: dict[str, Any], contoso: Contoso, name: str) -> None:
    entity_set = contoso.world.environment.entity_sets[name]
    rows = [as_in_the_books(row, entity_set) for row in read["rows"][name]]
    assert_same(name, expected_rows(contoso.world, entity_set), by_key(rows, entity_set.key))


def test_values_come_in_the_declared_types(read: dict[str, Any]) -> None:
    entries = read["kinds"]["GeneralJournalAccountEntries"]
    assert {"Decimal", "datetime", "int", "str"} <= set(entries)
    assert not any("float" in kinds for kinds in read["kinds"].values())


def test_its_filters_are_understood(read: dict[str, Any], contoso: Contoso) -> None:
    name = "GeneralJournalAccountEntryBiEntities"
    books = expected_rows(contoso.world, contoso.world.environment.entity_sets[name])
    large = [
        key
        for (key,), row in books.items()
        if row["AccountingCurrencyAmount"] > 1000 and row["TransactionCurrencyCode"] == "EUR"
    ]
    assert large
    assert read["large euros"] == sorted(large, reverse=True)
    assert read["vendors"] == len(vendors_of(contoso, contoso.world.default_company))
