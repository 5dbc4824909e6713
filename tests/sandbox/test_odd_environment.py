"""Odd keys, odd names, odd values: all of it readable by a plain client, exactly."""

from __future__ import annotations

import base64
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest
from tests.sandbox.signed_in import Client

from contoso_sandbox.entities.odd import LONG_KEY, LONG_PROPERTY, LONG_SET, RESERVED, odd
from contoso_sandbox.entities.odd_rows import ROWS
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.environment_box import EnvironmentBox
    from contoso_sandbox.model import EntitySet, Property

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
SETS = odd().entity_sets
KEYED = [name for name, entity_set in SETS.items() if entity_set.key]


@pytest.fixture(scope="module")
def client(odd_environment: EnvironmentBox) -> Client:
    return Client(odd_environment.settings())


def on_the_wire(column: Property, value: object) -> object:
    """Say what a stored value must look like in JSON."""
    match value:
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%SZ}"
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal() if column.ax_type is AxType.REAL and value == value.to_integral_value():
            return int(value)
        case _:
            return value


def literal(column: Property, value: object) -> str:
    """Write a value as ``$filter`` and key predicates spell it."""
    match column.ax_type:
        case AxType.STRING:
            return "'" + str(value).replace("'", "''") + "'"
        case AxType.ENUM:
            return f"Microsoft.Dynamics.DataEntities.{column.enum}'{value}'"
        case AxType.DATE | AxType.UTC_DATE_TIME:
            return str(on_the_wire(column, value))
        case AxType.BOOLEAN:
            return str(value).lower()
        case AxType.REAL:
            return f"{value:f}"
        case _:
            return str(value)


def expected(entity_set: EntitySet) -> list[dict[str, Any]]:
    columns = {p.name: p for p in entity_set.properties}
    return [
        {name: on_the_wire(columns[name], value) for name, value in row.items()}
        for row in ROWS[entity_set.name]
    ]


def test_every_set_has_rows() -> None:
    assert ROWS.keys() == SETS.keys()


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_read_whole_and_exact(client: Client, name: str) -> None:
    rows = client.walk(f"/data/{name}?cross-company=true")
    assert rows == expected(SETS[name])


@pytest.mark.parametrize("name", KEYED)
def test_every_row_is_reached_by_its_key(client: Client, name: str) -> None:
    entity_set = SETS[name]
    columns = {p.name: p for p in entity_set.properties}
    for row, wire in zip(ROWS[name], expected(entity_set), strict=True):
        parts = [f"{part}={literal(columns[part], row[part])}" for part in entity_set.key]
        key = quote(",".join(parts), safe="")
        answer = client.json(f"/data/{name}({key})?cross-company=true")
        assert {k: v for k, v in answer.items() if not k.startswith("@")} == wire


@pytest.mark.parametrize("name", [name for name in KEYED if name != "OddStringKeys"])
def test_every_row_is_found_by_a_filter_on_its_key(client: Client, name: str) -> None:
    entity_set = SETS[name]
    columns = {p.name: p for p in entity_set.properties}
    for row, wire in zip(ROWS[name], expected(entity_set), strict=True):
        tests = [f"{part} eq {literal(columns[part], row[part])}" for part in entity_set.key]
        assert client.walk(
            f"/data/{name}?cross-company=true&$filter={quote(' and '.join(tests))}"
        ) == [wire]


def test_a_star_is_a_wildcard_in_a_filter_and_a_character_in_a_key(client: Client) -> None:
    everything = client.walk("/data/OddStringKeys", filter="Code eq '*'")
    assert len(everything) == len(ROWS["OddStringKeys"])
    assert client.json("/data/OddStringKeys('*')")["Code"] == "*"


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        pytest.param("OddInt64Keys", "RecordId gt 9007199254740992", id="Int64"),
        pytest.param("OddInt32Keys", "Number lt -1", id="Int32"),
        pytest.param("OddDecimalKeys", "LineNumber lt 0", id="Decimal"),
        pytest.param("OddDateKeys", "ValidFrom gt 2100-01-01T00:00:00Z", id="Date"),
        pytest.param("OddInstantKeys", "CreatedOn gt 2026-03-29T01:30:00Z", id="UtcDateTime"),
        pytest.param("OddGuidKeys", "Party gt 0f8fad5b-d9cb-469f-a165-70867728950e", id="Guid"),
    ],
)
def test_keyset_paging_works_on_every_ordered_key(
    client: Client, name: str, condition: str
) -> None:
    key = SETS[name].key[0]
    rows = client.walk(f"/data/{name}", filter=condition, orderby=key)
    assert 0 < len(rows) < len(ROWS[name])
    assert len(client.walk(f"/data/{name}", filter=f"not ({condition})")) == len(ROWS[name]) - len(
        rows
    )


def test_a_keyless_set_lists_its_twins_and_has_no_rows_by_key(client: Client) -> None:
    rows = client.walk("/data/OddKeylessRows")
    assert rows[0] == rows[1]
    assert client.get("/data/OddKeylessRows(1)").status_code == 400
    public = client.json("/metadata/PublicEntities('OddKeylessRowEntity')")
    assert not any(p["IsKey"] for p in public["Properties"])


def test_the_longest_names_are_published_and_served(client: Client) -> None:
    assert {len(name) for name in (LONG_SET, LONG_KEY, LONG_PROPERTY)} == {75}
    row = client.json(f"/data/{LONG_SET}('k')", select=LONG_PROPERTY)
    assert row[LONG_PROPERTY] == "long"


def test_reserved_words_are_names_like_others(client: Client) -> None:
    for word in RESERVED:
        text = f"value of {word}"
        [row] = client.walk("/data/Order", filter=f"{word} eq '{text}'", orderby=word, select=word)
        assert row == {word: text}


def test_names_that_differ_in_case_are_different_properties(client: Client) -> None:
    [row] = client.walk("/data/OddCaseNames", filter="code eq 'lower' and CODE eq 'UPPER'")
    assert row == {"Code": "A", "code": "lower", "CODE": "UPPER"}
    assert client.walk("/data/OddCaseNames", filter="code eq 'UPPER'") == []


def test_a_binary_cannot_be_compared(client: Client) -> None:
    assert client.get("/data/OddBinaries", filter="Image eq 'AAEC'").status_code == 400
    full = client.session.get(
        f"{client.url}/data/OddBinaries(1)",
        headers={"Accept": "application/json;odata.metadata=full"},
        timeout=30,
    ).json()
    assert full["Image@odata.type"] == "#Binary"


def test_navigations_lead_both_ways(client: Client) -> None:
    parents = client.json("/data/OddParents", expand="Children")["value"]
    first = client.json("/data/OddParents('P1')", expand="Children($select=ChildId)")
    assert [c["ChildId"] for c in first["Children"]] == ["C1", "C2"]
    assert [len(parent["Children"]) for parent in parents] == [2, 1]
    assert client.json("/data/OddChildren('C3')", expand="Parent")["Parent"]["Name"] == "row 1"
    assert client.json("/data/OddChildren('C4')", expand="Parent")["Parent"] is None


def test_an_entity_may_be_no_odata_set(client: Client) -> None:
    entities = {
        e["PublicCollectionName"]: e for e in client.json("/metadata/DataEntities")["value"]
    }
    assert not entities["OddUnservedRows"]["DataServiceEnabled"]
    assert sum(e["DataServiceEnabled"] for e in entities.values()) == len(SETS)
    assert client.get("/data/OddUnservedRows").status_code == 404
    assert client.get("/metadata/PublicEntities('OddUnservedRowEntity')").status_code == 404


def test_the_same_thing_is_there_per_company_and_shared(client: Client) -> None:
    assert client.walk("/data/OddCompanyGroups") == [
        {"dataAreaId": "usmf", "GroupId": "10", "Name": "ten of usmf"}
    ]
    assert client.walk("/data/OddSharedGroups") == [{"GroupId": "10", "Name": "ten of all"}]


def test_the_schema_document_is_well_formed_and_complete(client: Client) -> None:
    document = ET.fromstring(client.get("/data/$metadata").content)  # noqa: S314 - our own text
    types = {t.attrib["Name"]: t for t in document.iter(f"{EDM}EntityType")}
    for entity_set in SETS.values():
        published = [p.attrib["Name"] for p in types[entity_set.entity].findall(f"{EDM}Property")]
        assert published == [p.name for p in entity_set.properties]
    binary = types["OddBinarieEntity"].find(f"{EDM}Property[@Name='Image']")
    assert binary is not None
    assert binary.get("Type") == "Edm.Binary"


def test_rows_of_the_odd_environment_can_be_changed(
    new_odd_environment: Callable[[], EnvironmentBox],
) -> None:
    box = new_odd_environment()
    client = Client(box.settings())
    before = client.json("/data/OddSharedGroups('10')")["@odata.etag"]
    box.tables.change("OddSharedGroups", {"GroupId": "10"}, {"Name": "changed"})
    after = client.json("/data/OddSharedGroups('10')")
    assert after["Name"] == "changed"
    assert after["@odata.etag"] != before
    box.tables.change("OddCaseNames", {"Code": "A"}, {"code": "new"})
    assert client.json("/data/OddCaseNames('A')")["CODE"] == "UPPER"
