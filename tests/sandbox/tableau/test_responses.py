"""The two forms of an answer, and the two forms of a request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contoso_sandbox.tableau.errors import RestError
from contoso_sandbox.tableau.payloads import Node, read_document
from contoso_sandbox.tableau.responses import Element, to_json, to_xml
from contoso_sandbox.tableau.times import later

#: What XML 1.0 can say: no control characters, no surrogates.
XML_TEXT = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="￾￿")
    | st.sampled_from("\t\n\r")
)
NS = "{http://tableau.com/api}"
LIST = Element(
    "projects",
    items=(
        Element("project", {"id": "1", "topLevelProject": True, "size": 7, "gone": None}),
        Element("project", {"id": "2", "createdAt": datetime(2026, 11, 23, 7, tzinfo=UTC)}),
    ),
)


@given(value=XML_TEXT)
def test_any_attribute_survives_xml(value: str) -> None:
    document = to_xml([Element("datasource", {"name": value})], api_version="3.29")
    root = ET.fromstring(document)  # noqa: S314 - our own
    assert root[0].attrib["name"] == value


@given(value=XML_TEXT.filter(lambda text: "\r" not in text))
def test_any_text_survives_xml_and_json(value: str) -> None:
    element = Element("job", {}, (Element("notes", text=value),))
    root = ET.fromstring(to_xml([element], api_version="3.29"))  # noqa: S314 - our own
    assert (root[0][0].text or "") == value
    assert json.loads(to_json([element])) == {"job": {"notes": value}}


def test_xml_writes_values_as_the_schema_does() -> None:
    document = to_xml([LIST], api_version="3.6").decode()
    assert "ts-api_3_6.xsd" in document
    assert (
        '<projects><project id="1" topLevelProject="true" size="7"/>'
        '<project id="2" createdAt="2026-11-23T07:00:00Z"/></projects></tsResponse>'
    ) in document


def test_json_nests_lists_under_their_own_name() -> None:
    assert json.loads(to_json([LIST])) == {
        "projects": {
            "project": [
                {"id": "1", "topLevelProject": True, "size": "7"},
                {"id": "2", "createdAt": "2026-11-23T07:00:00Z"},
            ]
        }
    }


XML_REQUEST = (
    b'<tsRequest xmlns="http://tableau.com/api"><datasource name="GL" isCertified="true">'
    b'<project id="p"/><tags><tag label="a"/><tag label="b"/></tags></datasource></tsRequest>'
)
JSON_REQUEST = json.dumps(
    {
        "datasource": {
            "name": "GL",
            "isCertified": True,
            "project": {"id": "p"},
            "tags": {"tag": [{"label": "a"}, {"label": "b"}]},
            "owner": None,
        }
    }
).encode()


def test_a_request_means_the_same_in_both_forms() -> None:
    from_xml = read_document(XML_REQUEST, "text/xml")
    assert from_xml == read_document(JSON_REQUEST, "application/json;charset=utf-8")
    datasource = from_xml.require("datasource")
    assert (datasource.get("name"), datasource.flag("isCertified")) == ("GL", True)
    assert [tag.get("label") for tag in datasource.require("tags").children] == ["a", "b"]


def test_an_empty_body_is_an_empty_request() -> None:
    assert read_document(b" \r\n", "") == Node("tsRequest")


@given(
    content=st.binary(min_size=1), content_type=st.sampled_from(["text/xml", "application/json"])
)
def test_no_body_breaks_the_reader(content: bytes, content_type: str) -> None:
    try:
        read_document(content, content_type)
    except RestError as refusal:
        assert refusal.code == "400000"  # noqa: PT017 - most bodies are refused, blank ones are not


@pytest.mark.parametrize(
    ("now", "than", "result"),
    [
        pytest.param("07:00:05.9", "07:00:05", "07:00:06", id="the same second"),
        pytest.param("07:00:05", "07:00:09", "07:00:10", id="ahead already"),
        pytest.param("07:00:05.9", "07:00:04", "07:00:05", id="a later second"),
        pytest.param("07:00:05.9", None, "07:00:05", id="the first time"),
    ],
)
def test_an_update_is_always_later_than_the_one_before(
    now: str, than: str | None, result: str
) -> None:
    def at(text: str) -> datetime:
        return datetime.fromisoformat(f"2026-11-23T{text}+00:00")

    assert later(at(now), at(than) if than else None) == at(result)
