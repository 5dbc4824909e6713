"""Companies, columns, keys, navigations and refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.sandbox.d365.site import Site


def accounts(site: Site, **options: str) -> list[str]:
    return [row["VendorAccountNumber"] for row in site.get("/data/VendorsV2", **options).rows]


def test_the_service_document_lists_the_sets(site: Site) -> None:
    document = site.get("/data").json
    assert document["@odata.context"] == f"{site.url}/data/$metadata"
    assert [entry["name"] for entry in document["value"]] == [
        "VendorsV2", "VendorGroups", "GeneralJournalAccountEntryBiEntities", "ExchangeRates",
    ]  # fmt: skip
    assert document["value"][0] == {"name": "VendorsV2", "kind": "EntitySet", "url": "VendorsV2"}
    assert site.get("/data/").json == document


# Companies


def test_without_cross_company_only_the_default_company_is_seen(site: Site) -> None:
    assert accounts(site) == ["US-102", "US-101", " RFI-1"]


def test_cross_company_shows_all(site: Site) -> None:
    assert accounts(site, cross_company="true") == [
        "US-102", "US-101", " RFI-1", "GB-1", "DE-O'Hara/1",
    ]  # fmt: skip


def test_a_filter_on_another_company_is_silently_empty(site: Site) -> None:
    answer = site.get("/data/VendorsV2", filter="dataAreaId eq 'gbsi'")
    assert answer.status == 200
    assert answer.rows == []


def test_a_filter_on_another_company_works_across_companies(site: Site) -> None:
    assert accounts(site, filter="dataAreaId eq 'GBSI'", cross_company="true") == ["GB-1"]


@pytest.mark.parametrize(
    "path", ["/data/ExchangeRates", "/data/GeneralJournalAccountEntryBiEntities"]
)
def test_a_shared_set_is_never_confined(site: Site, path: str) -> None:
    plain, crossing = (
        site.get(path, count="true"),
        site.get(path, count="true", cross_company="true"),
    )
    assert plain.json["@odata.count"] == crossing.json["@odata.count"] > 0
    assert "dataAreaId" not in plain.rows[0]


def test_count_follows_the_company_rule(site: Site) -> None:
    assert site.get("/data/VendorsV2/$count").text == "3"
    assert site.get("/data/VendorsV2/$count", cross_company="true").text == "5"


# Columns


def test_select_returns_the_etag_and_says_so_in_the_context(site: Site) -> None:
    answer = site.get("/data/VendorGroups", select="dataAreaId,VendorGroupId", top="1")
    assert answer.json["@odata.context"] == (
        f"{site.url}/data/$metadata#VendorGroups(dataAreaId,VendorGroupId)"
    )
    assert list(answer.rows[0]) == ["@odata.etag", "dataAreaId", "VendorGroupId"]


def test_select_does_not_add_the_key(site: Site) -> None:
    row = site.get("/data/VendorGroups", select="Description").rows[0]
    assert list(row) == ["@odata.etag", "Description"]


def test_select_star_is_everything(site: Site) -> None:
    answers = [site.get("/data/VendorGroups", **o) for o in ({}, {"select": "*"})]
    assert answers[0].rows == answers[1].rows


# Reads by key


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        pytest.param(
            "VendorsV2(dataAreaId='usmf',VendorAccountNumber='US-101')",
            "CreditLimit", 750, id="composite",
        ),
        pytest.param(
            "VendorsV2(VendorAccountNumber='US-101',dataAreaId='usmf')",
            "CreditLimit", 750, id="in any order",
        ),
        pytest.param(
            "VendorsV2(dataAreaId='usmf',VendorAccountNumber='US-102')",
            "dataAreaId", "USMF", id="company in another case",
        ),
        pytest.param(
            "VendorsV2(dataAreaId='demf',VendorAccountNumber='DE-O''Hara%2F1')?cross-company=true",
            "dataAreaId", "demf", id="quote and slash",
        ),
        pytest.param(
            "VendorsV2(dataAreaId='usmf',VendorAccountNumber='%20RFI-1')",
            "VendorGroupId", "20", id="leading blank",
        ),
        pytest.param(
            "GeneralJournalAccountEntryBiEntities(SourceKey=5637144577)",
            "Text", "Entry 1", id="Int64 by name",
        ),
        pytest.param(
            "GeneralJournalAccountEntryBiEntities(5637144577)", "Text", "Entry 1", id="bare value",
        ),
        pytest.param(
            "ExchangeRates(FromCurrency='EUR',StartDate=2026-02-01T12:00:00Z,LineNumber=2.5,"
            "DebitCredit=Microsoft.Dynamics.DataEntities.DebitCredit'Credit')",
            "LineNumber", "2.5", id="date, decimal and enum in the key",
        ),
    ],
)  # fmt: skip
def test_a_row_is_read_by_its_key(site: Site, path: str, name: str, value: object) -> None:
    answer = site.request("GET", f"/data/{path}")
    assert answer.status == 200
    found = answer.json
    assert found["@odata.context"].endswith("/$entity")
    assert str(found[name]) == str(value)


def test_a_single_row_is_an_object_with_context_and_etag(site: Site) -> None:
    answer = site.get(
        "/data/VendorGroups(dataAreaId='usmf',VendorGroupId='30')", select="Description"
    )
    assert answer.json == {
        "@odata.context": f"{site.url}/data/$metadata#VendorGroups(Description)/$entity",
        "@odata.etag": 'W/"JzEsMSc="',
        "Description": "Other vendors",
    }


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("VendorsV2(dataAreaId='usmf',VendorAccountNumber='none')", id="no such row"),
        pytest.param("VendorsV2(dataAreaId='gbsi',VendorAccountNumber='GB-1')", id="other company"),
    ],
)
def test_a_key_that_finds_nothing_is_a_404_with_an_envelope(site: Site, path: str) -> None:
    answer = site.request("GET", f"/data/{path}")
    assert answer.status == 404
    assert answer.json["error"]["message"] == "An error has occurred."


def test_a_row_of_another_company_needs_cross_company(site: Site) -> None:
    path = "/data/VendorsV2(dataAreaId='gbsi',VendorAccountNumber='GB-1')"
    assert site.get(path, cross_company="true").json["PersonBirthYear"] == -1


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("VendorsV2(dataAreaId='usmf')", id="part of the key missing"),
        pytest.param("VendorsV2('usmf')", id="bare value for a composite key"),
        pytest.param("VendorsV2(dataAreaId='usmf',Name='x')", id="no key property"),
        pytest.param("VendorsV2()", id="empty"),
        pytest.param(
            "VendorsV2(dataAreaId eq 'usmf',VendorAccountNumber='x')", id="no equals sign"
        ),
        pytest.param("VendorsV2(dataAreaId=usmf,VendorAccountNumber='x')", id="unquoted"),
        pytest.param("GeneralJournalAccountEntryBiEntities('x')", id="wrong type"),
    ],
)
def test_a_bad_key_is_a_400(site: Site, path: str) -> None:
    assert site.request("GET", f"/data/{path}").status == 400


# Navigations


def test_expand_follows_to_one_row(site: Site) -> None:
    rows = site.get("/data/VendorsV2", expand="VendorGroup", cross_company="true").rows
    assert [row["VendorGroup"] and row["VendorGroup"]["Description"] for row in rows] == [
        "Other vendors", "Other vendors", "Parts", "Others, GB", None,
    ]  # fmt: skip


def test_expand_follows_to_many_rows(site: Site) -> None:
    rows = site.get("/data/VendorGroups", expand="Vendors($select=VendorAccountNumber)").rows
    assert [[vendor["VendorAccountNumber"] for vendor in row["Vendors"]] for row in rows] == [
        ["US-102", "US-101"], [" RFI-1"],
    ]  # fmt: skip
    assert list(rows[0]["Vendors"][0]) == ["@odata.etag", "VendorAccountNumber"]


def test_only_select_works_inside_expand_the_rest_is_ignored(site: Site) -> None:
    inner = "Vendors($filter=VendorAccountNumber eq 'US-101';$top=1;$select=VendorAccountNumber)"
    row = site.get("/data/VendorGroups", expand=inner).rows[0]
    assert len(row["Vendors"]) == 2


def test_an_empty_collection_is_an_empty_array(own_site: Site) -> None:
    own_site.database.cursor().execute("DELETE FROM VendorsV2")
    assert own_site.get("/data/VendorGroups", expand="Vendors").rows[0]["Vendors"] == []


# Refusals


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"select": "Nmae"}, "Could not find a property named 'Nmae'", id="select"),
        pytest.param({"orderby": "Nmae"}, "Could not find a property named 'Nmae'", id="orderby"),
        pytest.param({"orderby": "dataAreaId up"}, "$orderby", id="direction"),
        pytest.param({"expand": "Nmae"}, "Could not find a property named 'Nmae'", id="expand"),
        pytest.param(
            {"expand": "VendorGroup($select=Nmae)"}, "named 'Nmae'", id="select inside expand"
        ),
        pytest.param({"expand": "VendorGroup/Vendors"}, "$expand", id="second level"),
        pytest.param({"top": "-1"}, "$top", id="negative top"),
        pytest.param({"skip": "x"}, "$skip", id="skip not a number"),
        pytest.param({"count": "yes"}, "$count", id="count not a boolean"),
        pytest.param({"apply": "groupby((dataAreaId))"}, "'$apply' is not supported", id="apply"),
        pytest.param({"search": "x"}, "'$search' is not supported", id="search"),
        pytest.param({"filter": "Nmae eq 1"}, "named 'Nmae'", id="filter"),
    ],
)
def test_a_bad_query_is_a_400_with_the_reason_inside(
    site: Site, options: dict[str, str], reason: str
) -> None:
    answer = site.get("/data/VendorsV2", **options)
    assert answer.status == 400
    error = answer.json["error"]
    assert error["code"] == ""
    assert reason in answer.reason
    assert error["innererror"]["type"].endswith("ODataException")
    assert error["innererror"]["stacktrace"].startswith("   at ")


def test_what_sql_cannot_compute_is_a_500_with_a_stack_trace(site: Site) -> None:
    answer = site.get(
        "/data/VendorsV2",
        filter="CreditLimit mul CreditLimit mul CreditLimit mul CreditLimit gt 1",
        cross_company="true",
    )
    assert answer.status == 500
    error = answer.json["error"]
    assert error["message"] == "An error has occurred."
    assert error["innererror"]["stacktrace"].count("   at ") > 1


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/data/vendorsv2", id="set names are case-sensitive"),
        pytest.param("/data/Vendors", id="unknown set"),
        pytest.param("/data/VendorsV2/VendorGroup", id="unknown segment"),
        pytest.param("/api/connector/dequeue/x", id="unknown service"),
        pytest.param("/", id="root"),
    ],
)
def test_an_unknown_route_is_aspnets_404(site: Site, path: str) -> None:
    answer = site.get(path)
    assert answer.status == 404
    assert answer.json == {
        "Message": f"No HTTP resource was found that matches the request URI '{site.url}{path}'. "
        "No route data was found for this request."
    }


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
def test_nothing_can_be_written(site: Site, method: str) -> None:
    answer = site.request(method, "/data/VendorGroups", body=b"{}")
    assert answer.status == 405
    assert answer.json["Message"].endswith(f"does not support http method '{method}'.")


def test_the_application_version_can_be_asked(site: Site) -> None:
    path = "/data/DataManagementEntities/Microsoft.Dynamics.DataEntities.GetApplicationVersion"
    answer = site.request("POST", path, body=b"{}")
    assert answer.json["value"].startswith("10.0.")
    assert site.request("POST", path + "X", body=b"{}").status == 404
    assert site.request("GET", path).status == 405


def test_the_installed_modules_can_be_asked(site: Site) -> None:
    action = "Microsoft.Dynamics.DataEntities.GetInstalledModules"
    answer = site.request("POST", f"/data/SystemNotifications/{action}", body=b"{}")
    assert answer.json["@odata.context"].endswith("$metadata#Collection(Edm.String)")
    parts = [dict(p.split(": ") for p in text.split(" | ")) for text in answer.json["value"]]
    assert all(
        list(module) == ["Name", "Version", "Module", "Publisher", "DisplayName"]
        for module in parts
    )
    other = site.request("POST", f"/data/DataManagementEntities/{action}", body=b"{}")
    assert other.status == 404


def test_the_log_tells_what_travelled(own_site: Site) -> None:
    own_site.get("/data/VendorsV2", top="2")
    own_site.get("/data/VendorsV2(dataAreaId='usmf',VendorAccountNumber='US-101')")
    own_site.get("/data/VendorsV2", filter="x")
    own_site.get("/data/VendorGroups/$count")
    log = list(own_site.d365.requests)
    assert [(request.entity_set, request.status, request.rows) for request in log] == [
        ("VendorsV2", 200, 2), ("VendorsV2", 200, 1), (None, 400, 0), ("VendorGroups", 200, 0),
    ]  # fmt: skip
    assert log[0].path == "/data/VendorsV2"
    assert log[0].query == "%24top=2"
    assert log[0].bytes > 0
    assert own_site.d365.requests.rows_by_set() == {"VendorsV2": 3, "VendorGroups": 0}
    own_site.d365.requests.clear()
    assert len(own_site.d365.requests) == 0
