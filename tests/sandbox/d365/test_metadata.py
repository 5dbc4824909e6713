"""``$metadata`` and the metadata services."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from tests.sandbox.d365.small import ENVIRONMENT, VENDORS

from contoso_sandbox.d365.csdl import edmx
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from tests.sandbox.d365.site import Site

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
EDMX = "{http://docs.oasis-open.org/odata/ns/edmx}"
TERMS = "Microsoft.Dynamics.OData.Core.V1."


@pytest.fixture(scope="module")
def schema() -> ET.Element:
    found = ET.fromstring(edmx(ENVIRONMENT)).find(f"{EDMX}DataServices/{EDM}Schema")  # noqa: S314 - our own text
    assert found is not None
    assert found.get("Namespace") == "Microsoft.Dynamics.DataEntities"
    return found


def terms(element: ET.Element) -> dict[str, dict[str, str]]:
    found = element.findall(f"{EDM}Annotation")
    return {a.attrib["Term"].removeprefix(TERMS): a.attrib for a in found}


def test_the_document_is_served_as_xml(site: Site) -> None:
    answer = site.get("/data/$metadata")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.text.encode() == edmx(ENVIRONMENT)


def test_types_and_nullability_are_published(schema: ET.Element) -> None:
    vendor = schema.find(f"{EDM}EntityType[@Name='VendorV2']")
    assert vendor is not None
    published = {
        p.attrib["Name"]: (p.attrib["Type"], p.get("Nullable"))
        for p in vendor.findall(f"{EDM}Property")
    }
    assert list(published) == [p.name for p in VENDORS.properties]
    assert published["dataAreaId"] == ("Edm.String", "false")
    assert published["VendorOrganizationName"] == ("Edm.String", None)
    assert published["CreditLimit"] == ("Edm.Decimal", "false")
    assert published["OnHoldStatus"] == ("Microsoft.Dynamics.DataEntities.CustVendorBlocked", None)
    assert published["SSIValidityDate"] == published["AddressValidFrom"]
    keys = [k.get("Name") for k in vendor.findall(f"{EDM}Key/{EDM}PropertyRef")]
    assert keys == ["dataAreaId", "VendorAccountNumber"]


def test_only_the_ax_type_tells_a_date_from_an_instant(schema: ET.Element) -> None:
    members = {
        p.attrib["Name"]: terms(p)["AXType"]["EnumMember"]
        for p in schema.findall(f"{EDM}EntityType[@Name='VendorV2']/{EDM}Property")
    }
    assert members["SSIValidityDate"] == f"{TERMS}AXType/Date"
    assert members["AddressValidFrom"] == f"{TERMS}AXType/UtcDateTime"


def test_labels_and_required_keys_are_annotated(schema: ET.Element) -> None:
    company = schema.find(f"{EDM}EntityType[@Name='VendorV2']/{EDM}Property[@Name='dataAreaId']")
    assert company is not None
    assert terms(company)["LabelId"]["String"] == "@SYS13342"
    assert terms(company)["IsRequired"]["Bool"] == "true"


def test_enums_sets_and_navigations_refer_to_each_other(schema: ET.Element) -> None:
    enum = schema.findall(f"{EDM}EnumType[@Name='NoYes']/{EDM}Member")
    assert [(m.get("Name"), m.get("Value")) for m in enum] == [("No", "0"), ("Yes", "1")]
    entity_set = schema.find(f"{EDM}EntityContainer/{EDM}EntitySet[@Name='VendorGroups']")
    assert entity_set is not None
    assert entity_set.get("EntityType") == "Microsoft.Dynamics.DataEntities.VendorGroup"
    many = schema.find(f"{EDM}EntityType[@Name='VendorGroup']/{EDM}NavigationProperty")
    one = schema.find(f"{EDM}EntityType[@Name='VendorV2']/{EDM}NavigationProperty")
    assert many is not None
    assert one is not None
    assert many.get("Type") == "Collection(Microsoft.Dynamics.DataEntities.VendorV2)"
    assert one.get("Type") == "Microsoft.Dynamics.DataEntities.VendorGroup"
    assert len(one.findall(f"{EDM}ReferentialConstraint")) == 2


def test_data_entities_map_names_to_sets(site: Site) -> None:
    answer = site.get("/metadata/DataEntities")
    assert answer.json["value"][0] == {
        "Name": "VendVendorV2Entity",
        "PublicEntityName": "VendorV2",
        "PublicCollectionName": "VendorsV2",
        "LabelId": "@SYS1",
        "DataServiceEnabled": True,
        "DataManagementEnabled": True,
        "EntityCategory": "Master",
        "IsReadOnly": False,
    }


@pytest.mark.parametrize(
    ("resource", "text", "names"),
    [
        pytest.param(
            "DataEntities", "contains(tolower(Name),'vend')",
            ["VendVendorV2Entity", "VendVendorGroupEntity"], id="contains and tolower",
        ),
        pytest.param(
            "DataEntities", "contains(Name,'vend')", [], id="case counts here",
        ),
        pytest.param(
            "DataEntities",
            "EntityCategory eq Microsoft.Dynamics.Metadata.EntityCategory'Transaction'",
            ["GeneralJournalAccountEntryBiEntity"], id="enum literal of the metadata service",
        ),
        pytest.param(
            "DataEntities", "DataServiceEnabled eq true and IsReadOnly eq true",
            ["GeneralJournalAccountEntryBiEntity"], id="booleans",
        ),
        pytest.param(
            "PublicEntities", "tolower(EntitySetName) eq tolower('VENDORSV2')", ["VendorV2"],
            id="set name in any case",
        ),
        pytest.param(
            "PublicEntities", "not startswith(Name,'V') or Name eq 'VendorGroup'",
            ["VendorGroup", "GeneralJournalAccountEntryBiEntity", "ExchangeRate"], id="logic",
        ),
        pytest.param("PublicEnumerations", "endswith(Name,'Yes')", ["NoYes"], id="endswith"),
    ],
)  # fmt: skip
def test_the_metadata_services_filter(
    site: Site, resource: str, text: str, names: list[str]
) -> None:
    answer = site.get(f"/metadata/{resource}", filter=text, select="Name")
    assert answer.json["value"] == [{"Name": name} for name in names]


def test_top_skip_count_and_orderby_work(site: Site) -> None:
    answer = site.get(
        "/Metadata/PublicEntities",
        top="2",
        skip="1",
        count="true",
        orderby="Name desc",
        select="Name",
    )
    assert answer.json["@odata.count"] == 4
    assert [d["Name"] for d in answer.json["value"]] == [
        "VendorGroup", "GeneralJournalAccountEntryBiEntity",
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["/metadata", "/Metadata", "/METADATA"])
def test_the_prefix_is_matched_in_any_case(site: Site, prefix: str) -> None:
    assert site.get(f"{prefix}/PublicEntities('VendorV2')").json["EntitySetName"] == "VendorsV2"


def test_a_public_entity_describes_its_properties(site: Site) -> None:
    entity = site.get("/metadata/PublicEntities('VendorV2')").json
    properties = {p["Name"]: p for p in entity["Properties"]}
    assert properties["dataAreaId"]["IsKey"]
    assert properties["dataAreaId"]["IsMandatory"]
    assert not properties["CreditLimit"]["IsKey"]
    assert properties["SSIValidityDate"]["DataType"] == "Date"
    assert properties["AddressValidFrom"]["DataType"] == "UtcDateTime"
    assert properties["CreditLimit"]["DataType"] == "Real"
    assert properties["OnHoldStatus"]["TypeName"] == (
        "Microsoft.Dynamics.DataEntities.CustVendorBlocked"
    )
    published = {p["DataType"] for p in properties.values()}
    assert published == {t.value for t in AxType} - {"Container"}
    assert entity["NavigationProperties"][0]["Cardinality"] == "Single"
    assert entity["NavigationProperties"][0]["Constraints"][0] == {
        "@odata.type": "#Microsoft.Dynamics.Metadata.ReferentialConstraint",
        "Property": "dataAreaId",
        "ReferencedProperty": "dataAreaId",
    }


def test_the_key_of_a_public_entity_is_its_name_not_its_sets(site: Site) -> None:
    assert site.get("/metadata/PublicEntities('VendorsV2')").status == 404


def test_the_list_and_the_single_entity_agree(site: Site) -> None:
    listed = site.get("/metadata/PublicEntities").json["value"]
    for entity in listed:
        single = site.get(f"/metadata/PublicEntities('{entity['Name']}')").json
        assert single.pop("@odata.context").endswith("#PublicEntities/$entity")
        assert single == entity


def test_an_enumeration_lists_names_and_numbers(site: Site) -> None:
    enum = site.get("/metadata/PublicEnumerations('CustVendorBlocked')").json
    members = [(member["Name"], member["Value"]) for member in enum["Members"]]
    assert members == [("No", 0), ("Invoice", 1), ("All", 2)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("Id='@SYS13342',Language='en-US'", "Company", id="as published"),
        pytest.param("Id='@sys13342',Language='en-us'", "Company", id="in any case"),
        pytest.param("Language='de',Id='@SYS2'", "Vendor account", id="other language: English"),
    ],
)
def test_a_label_is_read_by_id_and_language(site: Site, key: str, value: str) -> None:
    assert site.get(f"/metadata/Labels({key})").json["Value"] == value


def test_labels_are_listed(site: Site) -> None:
    labels = {label["Id"]: label["Value"] for label in site.get("/metadata/Labels").json["value"]}
    assert labels == {"@SYS1": "Vendors V2", "@SYS13342": "Company", "@SYS2": "Vendor account"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/metadata/Nothing", 404, id="unknown service"),
        pytest.param("/metadata/PublicEntities('Nothing')", 404, id="unknown entity"),
        pytest.param("/metadata/Labels(Id='@NONE',Language='en-US')", 404, id="unknown label"),
        pytest.param("/metadata/PublicEntities(5)", 400, id="key of the wrong type"),
        pytest.param("/metadata/DataEntities?$filter=Nmae eq 'x'", 400, id="unknown property"),
        pytest.param("/metadata/DataEntities?$filter=tolower(Name)", 400, id="no condition"),
        pytest.param("/metadata/DataEntities?$filter=Name eq 1", 400, id="unlike types"),
        pytest.param("/metadata/DataEntities?$filter=year(Name) eq 1", 400, id="unknown function"),
        pytest.param("/metadata/DataEntities?$filter=1 add 1 eq 2", 400, id="arithmetic"),
        pytest.param("/metadata/DataEntities?$top=x", 400, id="bad top"),
    ],
)
def test_bad_metadata_requests_are_refused(site: Site, path: str, status: int) -> None:
    assert site.request("GET", path).status == status


def test_metadata_is_read_only(site: Site) -> None:
    assert site.request("POST", "/metadata/DataEntities", body=b"{}").status == 405
    assert [e["name"] for e in site.get("/metadata").json["value"]] == [
        "DataEntities", "PublicEntities", "PublicEnumerations", "Labels",
    ]  # fmt: skip
