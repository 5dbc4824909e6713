"""`validate_records`: what a schema forbids is refused, at the price of what columns do not see."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.schema import columns_of
from target_tableau_hyper.extract.validation import LeftoverCheck

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows


def check(properties: dict[str, Any], **root: object) -> LeftoverCheck:
    full = {"type": "object", "properties": properties, **root}
    return LeftoverCheck("s", full, columns_of("s", full))


@pytest.mark.parametrize(
    ("properties", "root", "needed"),
    [
        pytest.param({"a": {"type": ["string", "null"]}}, {}, False, id="plain string"),
        pytest.param({"a": {"type": "number", "title": "x"}}, {}, False, id="annotations"),
        pytest.param(
            {"a": {"type": "number", "x-sql-datatype-properties": {"scale": 2}}},
            {},
            False,
            id="extensions",
        ),
        pytest.param({"a": {}}, {"additionalProperties": True}, False, id="anything goes"),
        pytest.param(
            {"a": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}},
            {},
            False,
            id="union that the column knows",
        ),
        pytest.param(
            {"a": {"allOf": [{"$ref": "#/definitions/d"}]}},
            {"definitions": {"d": {"type": "number"}}},
            False,
            id="reference that the column knows",
        ),
        pytest.param({"a": {"type": ["string", "integer"]}}, {}, True, id="mixed types"),
        pytest.param({"a": {"type": "string", "enum": ["x"]}}, {}, True, id="enum"),
        pytest.param({"a": {"type": "string", "maxLength": 3}}, {}, True, id="length"),
        pytest.param({"a": {"type": "object"}}, {}, True, id="object"),
        pytest.param({"a": {"type": "string"}}, {"required": ["a"]}, True, id="required"),
        pytest.param({"a": {}}, {"additionalProperties": False}, True, id="closed record"),
    ],
)
def test_only_what_columns_do_not_check_is_left(
    properties: dict[str, Any],
    root: dict[str, Any],
    needed: bool,  # noqa: FBT001
) -> None:
    assert check(properties, **root).needed is needed


@pytest.mark.parametrize(
    ("properties", "root", "values", "fault"),
    [
        pytest.param(
            {"a": {"enum": ["x"]}}, {}, {"a": "y"}, "a breaks the schema's 'enum'", id="enum"
        ),
        pytest.param(
            {"a": {"type": "number", "multipleOf": Decimal("0.01")}},
            {},
            {"a": Decimal("0.005")},
            "multipleOf",
            id="steps",
        ),
        pytest.param(
            {"a": {"type": "array", "items": {"type": "string"}}},
            {},
            {"a": ["x", None]},
            "a.1 breaks the schema's 'type'",
            id="null in a list of strings",
        ),
        pytest.param({"a": {}}, {"required": ["b"]}, {"a": 1}, "'b' is missing", id="required"),
        pytest.param(
            {"a": {}}, {"additionalProperties": False}, {"b": 1}, "additionalProperties", id="extra"
        ),
        pytest.param({"a": {"maxLength": 3}}, {}, {"a": "abc"}, None, id="fits"),
        pytest.param(
            {"a": {"$ref": "#/definitions/d"}},
            {"definitions": {"d": {"type": "string", "enum": ["x"]}}},
            {"a": "y"},
            "a breaks the schema's 'enum'",
            id="by reference",
        ),
        pytest.param(
            {"a": {"anyOf": [{"$ref": "#/properties/b"}, {"type": "null"}]}, "b": {"minimum": 3}},
            {},
            {"a": 2, "b": 3},
            "a breaks the schema's 'anyOf'",
            id="by reference to another property",
        ),
    ],
)
def test_faults_are_named_without_values(
    properties: dict[str, Any], root: dict[str, Any], values: dict[str, Any], fault: str | None
) -> None:
    found = check(properties, **root).fault(values)
    assert (fault is None) == (found is None)
    assert fault is None or fault in str(found)


def test_invalid_schema_is_refused() -> None:
    with pytest.raises(DataError, match="no valid JSON Schema"):
        check({"a": {"type": "strnig"}})


BROKEN = [
    schema(
        "s", {"id": {"type": "integer"}, "list": {"type": "array", "items": {"type": "string"}}}
    ),
    record("s", {"id": 1, "list": ["a", None]}),
    record("s", {"id": 2, "list": [["nested"]]}),
]


def test_tap_that_breaks_its_schema_is_refused_by_default(extracts: Extracts) -> None:
    with pytest.raises(DataError, match=r'stream .s., key {"id":1}: list.1 breaks'):
        extracts.run(BROKEN)


def test_tap_that_breaks_its_schema_is_stored_without_validation(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run(BROKEN, validate_records=False)
    assert rows(extracts.path("s")) == [(1, '["a",null]'), (2, '[["nested"]]')]


def test_null_needs_a_schema_that_allows_it(extracts: Extracts, rows: Rows) -> None:
    messages = [
        schema("s", {"id": {"type": "integer"}, "v": {"type": "string"}}),
        record("s", {"id": 1}),
        record("s", {"id": 2, "v": None}),
    ]
    with pytest.raises(DataError, match=r'column .v., key {"id":2}: null'):
        extracts.run(messages)
    extracts.run(messages, validate_records=False)
    assert rows(extracts.path("s")) == [(1, None), (2, None)]


def test_deletions_need_no_more_than_their_key(extracts: Extracts, rows: Rows) -> None:
    strict = schema("s", {"id": {"type": "integer"}, "v": {"type": "string"}}, required=["id", "v"])
    extracts.run([strict, record("s", {"id": 1, "v": "x"})])
    extracts.run([strict, record("s", {"id": 1, "v": None, "_sdc_deleted_at": "2024-01-01"})])
    assert rows(extracts.path("s")) == []
