"""The sandbox speaks OData as strangers expect it: unmodified python-odata reads it.

It reflects its classes from ``$metadata``, turns values into the types that are declared there,
follows nextLinks and writes its own filters. It trusts the throw-away authority by
``REQUESTS_CA_BUNDLE``, as it would a company's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.books import by_key, expected_rows, through_floats
from tests.interop.cells import assert_same
from tests.interop.peers import PYTHON_ODATA
from tests.interop.strangers import as_in_the_books, edm_type, read_with, vendors_of

if TYPE_CHECKING:
    from contoso_sandbox.contoso import Contoso


@pytest.fixture(scope="module")
def read(contoso: Contoso, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    registration = contoso.tenant.registration(contoso.credentials.client_id)
    return read_with(
        PYTHON_ODATA,
        "python_odata_reads.py",
        f"{contoso.d365_url}/data/",
        HOME=str(tmp_path_factory.mktemp("home")),
        REQUESTS_CA_BUNDLE=str(contoso.ca_bundle),
        TOKEN=contoso.tenant.issue(registration, contoso.d365_url, by_certificate=False),
    )


def test_reflects_every_set_with_types_and_keys(read: dict[str, Any], contoso: Contoso) -> None:
    assert read["reflected"] == {
        name: {
            "types": {p.name: edm_type(p) for p in entity_set.properties},
            "key": list(entity_set.key),
        }
        for name, entity_set in contoso.world.environment.entity_sets.items()
    }


def test_follows_the_links_through_all_pages(read: dict[str, Any], contoso: Contoso) -> None:
    name = "GeneralJournalAccountEntryBiEntities"
    entity_set = contoso.world.environment.entity_sets[name]
    books = expected_rows(contoso.world, entity_set)
    assert len(books) > 3 * 250, "several pages"
    entries = by_key([as_in_the_books(row, entity_set) for row in read["entries"]], entity_set.key)
    # It reads JSON through floats, and so it does not see the books as they are.
    assert_same(name, through_floats(books), entries)
    assert entries != books


def test_sees_the_default_company_alone(read: dict[str, Any], contoso: Contoso) -> None:
    mine = vendors_of(contoso, contoso.world.default_company)
    assert set(read["own company"]) == mine
    assert read["counted"] == len(mine)


def test_its_filters_and_orders_are_understood(read: dict[str, Any], contoso: Contoso) -> None:
    assert read["quoted"] == ["O''Neil; Drop table?"]
    assert read["by key"]["VendorOrganizationName"] == "Slash / Ampersand = ?#%"
    assert read["by key"]["dataAreaId"] == "usmf"
    vendors = contoso.world.environment.entity_sets["VendorsV2"]
    assert set(read["not on hold"]) == {
        account
        for (company, account), row in expected_rows(contoso.world, vendors).items()
        if company == contoso.world.default_company and row["OnHoldStatus"] == "No"
    }
    days = [row["StartDate"] for row in read["newest euros"]]
    assert len(days) == 3
    assert days == sorted(days, reverse=True)
    assert {row["ToCurrency"] for row in read["newest euros"]} == {"EUR"}
    assert [row.keys() for row in read["raw"]] == [{"@odata.etag", "Rate"}] * 2
