"""Which column each JSON Schema shape of a real tap becomes."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.schema import Kind, columns_of, require_keys

NULL = {"type": "null"}

DEFINITIONS = {
    "amount": {"type": "number", "multipleOf": 0.01, "title": "Amount"},
    "a/b": {"type": ["string", "null"], "format": "date"},
    "tree": {"anyOf": [{"$ref": "#/definitions/tree"}, {"type": "object"}]},
    "0": 7,
}


@pytest.mark.parametrize(
    ("definition", "kind", "nullable"),
    [
        pytest.param({"type": "string"}, Kind.TEXT, False, id="string"),
        pytest.param({"type": ["null", "string"]}, Kind.TEXT, True, id="string or null"),
        pytest.param({"type": "string", "format": "uuid"}, Kind.TEXT, False, id="uuid is text"),
        pytest.param({"type": "string", "format": "date"}, Kind.DATE, False, id="date"),
        pytest.param({"type": "string", "format": "time"}, Kind.TIME, False, id="time"),
        pytest.param(
            {"type": "string", "format": "date-time"}, Kind.TIMESTAMP, False, id="instant"
        ),
        pytest.param(
            {"type": ["string", "null"], "format": "x-singer.decimal"},
            Kind.NUMERIC,
            True,
            id="decimal in a string",
        ),
        pytest.param(
            {"type": ["string", "number"], "format": "singer.decimal"},
            Kind.NUMERIC,
            False,
            id="older spelling of a decimal in a string",
        ),
        pytest.param({"type": "number"}, Kind.NUMERIC, False, id="number is exact"),
        pytest.param(
            {"type": "number", "multipleOf": 0.01}, Kind.NUMERIC, False, id="number with steps"
        ),
        pytest.param({"type": ["integer", "number"]}, Kind.NUMERIC, False, id="integer or number"),
        pytest.param({"type": "integer"}, Kind.INTEGER, False, id="integer"),
        pytest.param({"type": ["boolean", "null"]}, Kind.BOOLEAN, True, id="boolean or null"),
        pytest.param({"type": "object"}, Kind.TEXT, False, id="object is JSON text"),
        pytest.param({"type": "array", "items": {}}, Kind.TEXT, False, id="array is JSON text"),
        pytest.param({}, Kind.TEXT, True, id="anything is text"),
        pytest.param(True, Kind.TEXT, True, id="schema true is text"),
        pytest.param(NULL, Kind.TEXT, True, id="only null is text"),
        pytest.param({"type": ["string", "integer"]}, Kind.TEXT, False, id="mixed is text"),
        pytest.param({"type": ["boolean", "integer"]}, Kind.TEXT, False, id="flag or number"),
        pytest.param(
            {"anyOf": [{"type": "string", "format": "date-time"}, NULL]},
            Kind.TIMESTAMP,
            True,
            id="anyOf instant and null",
        ),
        pytest.param(
            {"anyOf": [{"type": "string", "format": "date-time"}, {"type": ["string", "null"]}]},
            Kind.TIMESTAMP,
            True,
            id="anyOf instant and plain string, as tap-salesforce writes",
        ),
        pytest.param({"oneOf": [{"type": "number"}, NULL]}, Kind.NUMERIC, True, id="oneOf"),
        pytest.param(
            {"anyOf": [{"oneOf": [{"type": "integer"}, NULL]}, NULL]},
            Kind.INTEGER,
            True,
            id="nested unions",
        ),
        pytest.param(
            {"anyOf": [{"type": "object"}, {"type": "array"}]}, Kind.TEXT, False, id="containers"
        ),
        pytest.param({"$ref": "#/definitions/amount"}, Kind.NUMERIC, False, id="reference"),
        pytest.param(
            {"anyOf": [{"$ref": "#/definitions/amount"}, NULL]},
            Kind.NUMERIC,
            True,
            id="reference or null",
        ),
        pytest.param(
            {"allOf": [{"$ref": "#/definitions/amount"}], "title": "Net"},
            Kind.NUMERIC,
            False,
            id="allOf of one, as pydantic writes",
        ),
        pytest.param(
            {"allOf": [{"type": "number"}, {"minimum": 0}]}, Kind.NUMERIC, False, id="allOf of two"
        ),
        pytest.param({"$ref": "#/definitions/a~1b"}, Kind.DATE, True, id="escaped reference"),
        pytest.param({"$ref": "#/definitions/tree"}, Kind.TEXT, False, id="holds itself"),
        pytest.param({"$ref": "#/definitions/none"}, Kind.TEXT, True, id="leads nowhere"),
        pytest.param({"$ref": "#/definitions/0/x"}, Kind.TEXT, True, id="leads into a number"),
        pytest.param({"$ref": "https://x/y"}, Kind.TEXT, True, id="another document"),
        pytest.param(
            {"allOf": [{"type": "number"}, {"type": "string"}]}, Kind.TEXT, True, id="contradiction"
        ),
        pytest.param({"allOf": [True]}, Kind.TEXT, True, id="allOf anything"),
    ],
)
def test_every_shape_finds_a_column(definition: Any, kind: Kind, nullable: bool) -> None:  # noqa: ANN401, FBT001
    (column,) = columns_of("s", {"properties": {"p": definition}, "definitions": DEFINITIONS})
    assert (column.kind, column.nullable) == (kind, nullable)


@pytest.mark.parametrize(
    "definition",
    [
        pytest.param({"type": "number", "multipleOf": 0.01}, id="plain"),
        pytest.param({"anyOf": [{"type": "number", "multipleOf": 0.01}, NULL]}, id="in a union"),
        pytest.param({"anyOf": [{"type": "number"}, NULL], "multipleOf": 0.01}, id="beside one"),
        pytest.param(
            {"oneOf": [NULL, {"type": "number", "x-sql-datatype-properties": {"scale": 2}}]},
            id="hint in a union",
        ),
        pytest.param({"anyOf": [{"$ref": "#/definitions/amount"}, NULL]}, id="by reference"),
        pytest.param({"allOf": [{"$ref": "#/definitions/amount"}]}, id="by allOf"),
        pytest.param(
            {
                "anyOf": [
                    {"type": "number", "multipleOf": 1},
                    {"type": "number", "multipleOf": 0.01},
                ]
            },
            id="the finest of several",
        ),
    ],
)
def test_money_is_never_a_float_wherever_its_schema_says_that_it_is_money(definition: Any) -> None:  # noqa: ANN401
    schema = {"properties": {"p": definition}, "definitions": DEFINITIONS}
    (column,) = columns_of("s", schema, doubles=True)
    assert (column.kind, column.scale) == (Kind.NUMERIC, 2)


def test_hints_and_texts_of_the_source_are_kept() -> None:
    definition = {
        "type": "number",
        "title": "Amount",
        "description": "In accounting currency",
        "x-sql-datatype-properties": {"precision": 32, "scale": 6, "edm": "Edm.Decimal"},
    }
    (column,) = columns_of("s", {"properties": {"p": definition}})
    assert (column.precision, column.scale) == (32, 6)
    assert (column.title, column.description) == ("Amount", "In accounting currency")


def test_schema_without_properties_is_refused() -> None:
    with pytest.raises(DataError, match="stream 's' has no properties"):
        columns_of("s", {"type": "object"})


def test_key_that_is_no_property_is_refused() -> None:
    columns = columns_of("s", {"properties": {"a": {"type": "integer"}}})
    with pytest.raises(DataError, match="names 'b' as a key"):
        require_keys(columns, "s", ["a", "b"])
