"""How values travel."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sandbox.d365.small import VENDOR_ROWS, VENDORS

if TYPE_CHECKING:
    from tests.sandbox.d365.site import Site


def etag_text(etag: str) -> str:
    assert etag.startswith('W/"')
    assert etag.endswith('"')
    return base64.b64decode(etag[3:-1], validate=True).decode()


def test_a_row_has_the_etag_first_and_every_property_in_published_order(site: Site) -> None:
    row = site.get("/data/VendorsV2").rows[0]
    assert list(row) == ["@odata.etag", *(p.name for p in VENDORS.properties)]


@pytest.mark.parametrize(
    ("vendor", "name", "wire"),
    [
        pytest.param("US-101", "dataAreaId", '"usmf"', id="company as stored, lower case"),
        pytest.param("US-102", "dataAreaId", '"USMF"', id="company as stored, upper case"),
        pytest.param("US-101", "CreditLimit", "750", id="whole decimal without fraction"),
        pytest.param("US-102", "CreditLimit", "33.33", id="no trailing zeros"),
        pytest.param(" RFI-1", "CreditLimit", "-0.05", id="between -0.1 and 0"),
        pytest.param("GB-1", "CreditLimit", "999999999999.99", id="large amount"),
        pytest.param("DE-O'Hara/1", "CreditLimit", "0", id="zero"),
        pytest.param(" RFI-1", "PrimaryContactRecordId", "9007199254740993", id="beyond 2**53"),
        pytest.param("GB-1", "PrimaryContactRecordId", "-1", id="negative Int64"),
        pytest.param("US-101", "SSIValidityDate", '"2026-06-26T12:00:00Z"', id="date at noon"),
        pytest.param("US-102", "SSIValidityDate", '"1900-01-01T12:00:00Z"', id="no date"),
        pytest.param("US-101", "AddressValidFrom", '"2019-03-04T07:15:30Z"', id="instant"),
        pytest.param("US-102", "AddressValidFrom", '"1900-01-01T00:00:00Z"', id="no instant"),
        pytest.param(" RFI-1", "AddressValidFrom", '"2154-12-31T23:59:59Z"', id="end of time"),
        pytest.param("US-102", "OnHoldStatus", '"All"', id="enum by member name"),
        pytest.param("US-102", "AddressTimeZone", "null", id="enum without a member"),
        pytest.param(" RFI-1", "VendorOrganizationName", '""', id="empty string"),
        pytest.param("DE-O'Hara/1", "VendorOrganizationName", "null", id="null string"),
        pytest.param(
            "US-101", "VendorOrganizationName", r'"Fabrikam \"East\" \\ West"', id="escapes"
        ),
        pytest.param(
            "GB-1",
            "VendorOrganizationName",
            '"Zürich 📦\\nLine two\\ttab"',
            id="control characters",
        ),
        pytest.param("US-101", "IsSynchronized", "true", id="boolean"),
        pytest.param("US-101", "PartyGuid", '"0f8fad5b-d9cb-469f-a165-70867728950e"', id="guid"),
    ],
)
def test_a_value_travels_as_recorded(site: Site, vendor: str, name: str, wire: str) -> None:
    escaped = vendor.replace("'", "''")
    answer = site.get(
        "/data/VendorsV2",
        filter=f"VendorAccountNumber eq '{escaped}'",
        select=name,
        cross_company="true",
    )
    assert len(answer.rows) == 1
    assert f'"{name}":{wire}}}]' in answer.text


def test_a_leading_blank_is_kept(site: Site) -> None:
    assert " RFI-1" in [row["VendorAccountNumber"] for row in site.get("/data/VendorsV2").rows]


def test_sixteen_decimal_places_are_kept(site: Site) -> None:
    rates = [row["Rate"] for row in site.get("/data/ExchangeRates").rows]
    assert rates == [Decimal("108.3333333333333333"), Decimal("1E-16")]
    assert '"Rate":0.0000000000000001}' in site.get("/data/ExchangeRates").text


@pytest.mark.parametrize(
    ("vendor", "pairs"),
    [
        pytest.param("US-102", "'0,22565421176;0,0'", id="absent second source"),
        pytest.param("US-101", "'75000468,22565421177;1,5637144580'", id="two sources"),
    ],
)
def test_an_etag_tells_version_and_record_id_of_every_source(
    site: Site, vendor: str, pairs: str
) -> None:
    rows = site.get("/data/VendorsV2", select="VendorAccountNumber").rows
    etags = {row["VendorAccountNumber"]: row["@odata.etag"] for row in rows}
    assert etag_text(etags[vendor]) == pairs


def test_a_set_of_one_source_has_a_single_pair(site: Site) -> None:
    row = site.get("/data/VendorGroups").rows[0]
    assert etag_text(row["@odata.etag"]) == "'1,1'"


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    texts=st.lists(
        # DuckDB stores no lone surrogates; a NUL cannot be stored in F&O either.
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
        min_size=1,
        max_size=20,
    )
)
def test_any_text_survives_json(own_site: Site, texts: list[str]) -> None:
    cursor = own_site.database.cursor()
    cursor.execute("DELETE FROM VendorGroups")
    rows = [("usmf", str(number), text, number, 1) for number, text in enumerate(texts)]
    cursor.executemany("INSERT INTO VendorGroups VALUES (?, ?, ?, ?, ?)", rows)
    pages = own_site.walk("/data/VendorGroups")
    assert [row["Description"] for page in pages for row in page.rows] == texts


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(
    amounts=st.lists(
        st.decimals(min_value=-(10**25), max_value=10**25, places=6), min_size=1, max_size=30
    )
)
def test_any_amount_survives_to_the_last_digit_and_in_its_shortest_form(
    own_site: Site, amounts: list[Decimal]
) -> None:
    cursor = own_site.database.cursor()
    table = "GeneralJournalAccountEntryBiEntities"
    cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
    cursor.executemany(
        f"INSERT INTO {table} VALUES (?, ?, '', ?, 1)",  # noqa: S608 - a constant
        [(number, amount, number) for number, amount in enumerate(amounts)],
    )
    pages = own_site.walk(f"/data/{table}", select="AccountingCurrencyAmount")
    texts = [
        str(row["AccountingCurrencyAmount"])
        for page in pages
        for row in json.loads(page.text, parse_float=str, parse_int=str)["value"]
    ]
    assert [Decimal(text) for text in texts] == amounts
    assert not [text for text in texts if "." in text and text.endswith(("0", "."))]


def test_minimal_is_the_default_and_says_so(site: Site) -> None:
    answer = site.get("/data/VendorsV2")
    assert answer.headers["content-type"] == (
        "application/json; odata.metadata=minimal; odata.streaming=true"
    )
    assert answer.headers["OData-Version"] == "4.0"
    assert answer.headers["ms-dyn-aid"]
    assert answer.headers["server-timing"].startswith("dur=")
    assert answer.json["@odata.context"] == f"{site.url}/data/$metadata#VendorsV2"


def test_full_metadata_types_what_json_cannot(site: Site) -> None:
    answer = site.request(
        "GET",
        "/data/VendorsV2(dataAreaId='demf',VendorAccountNumber='DE-O''Hara/1')?cross-company=true",
        {"Accept": "application/json;odata.metadata=full"},
    )
    row = answer.json
    assert row["@odata.type"] == "#Microsoft.Dynamics.DataEntities.VendorV2"
    assert row["@odata.editLink"] == (
        "VendorsV2(dataAreaId='demf',VendorAccountNumber='DE-O%27%27Hara%2F1')"
    )
    assert row["@odata.id"] == f"{site.url}/data/{row['@odata.editLink']}"
    assert row["CreditLimit@odata.type"] == "#Decimal"
    assert row["PrimaryContactRecordId@odata.type"] == "#Int64"
    assert row["OnHoldStatus@odata.type"] == "#Microsoft.Dynamics.DataEntities.CustVendorBlocked"
    assert "VendorAccountNumber@odata.type" not in row
    assert row["VendorGroup@odata.navigationLink"] == f"{row['@odata.id']}/VendorGroup"


def test_the_id_of_full_metadata_reads_the_row_again(site: Site) -> None:
    answer = site.request(
        "GET",
        "/data/VendorsV2?cross-company=true",
        {"Accept": "application/json;odata.metadata=full"},
    )
    for row in answer.rows:
        target = row["@odata.id"].removeprefix(site.url)
        again = site.request("GET", f"{target}?cross-company=true")
        assert again.json["VendorAccountNumber"] == row["VendorAccountNumber"]
    assert len(answer.rows) == len(VENDOR_ROWS)


def test_no_metadata_leaves_the_bare_values(site: Site) -> None:
    accept = {"Accept": "application/json;odata.metadata=none"}
    answer = site.request("GET", "/data/VendorGroups", accept)
    assert answer.json == {
        "value": [
            {"dataAreaId": "usmf", "VendorGroupId": "30", "Description": "Other vendors"},
            {"dataAreaId": "usmf", "VendorGroupId": "20", "Description": "Parts"},
        ]
    }


def test_a_long_body_is_compressed_only_when_the_client_takes_it(site: Site) -> None:
    zipped = site.request("GET", "/data/VendorsV2", {"Accept-Encoding": "gzip"})
    plain = site.request("GET", "/data/VendorsV2", {"Accept-Encoding": "identity"})
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert zipped.text == plain.text
