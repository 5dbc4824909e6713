"""Validate records against their schema at the price of what the columns do not check anyway.

Converting a column with strict types already proves ``type`` and ``format`` of most properties; the
SDK's per-record validator would spend four fifths of the run on proving it again. Only what is left
(enums, patterns, bounds, nested schemas, ``required``) goes through jsonschema.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
from jsonschema.validators import validator_for

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.definitions import resolved
from target_tableau_hyper.extract.schema import Kind, simple_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_tableau_hyper.extract.schema import Column

#: Keywords that constrain nothing, or nothing that the column's type does not.
_SILENT = frozenset(
    {
        *("type", "format", "title", "description", "examples", "example", "default", "deprecated"),
        *("readOnly", "writeOnly", "anyOf", "oneOf", "contentEncoding", "contentMediaType"),
    }
)

#: Keywords of the record as a whole that are covered elsewhere or say nothing.
_SILENT_ROOT = frozenset({"type", "properties", "title", "description", "definitions", "$defs"})


class LeftoverCheck:
    """What strict columns cannot see."""

    def __init__(self, stream: str, schema: Mapping[str, Any], columns: Sequence[Column]) -> None:
        """Find out what is left to check.

        Raises:
            DataError: the schema itself is no valid JSON Schema.
        """
        validator_class = validator_for(schema, default=jsonschema.Draft7Validator)
        try:
            validator_class.check_schema(dict(schema))
        except jsonschema.SchemaError as error:
            message = (
                f"the SCHEMA of stream {stream!r} is no valid JSON Schema at "
                f"{error.json_path}: {error.message[:200]}"
            )
            raise DataError(message) from error
        properties = {
            name: resolved(definition, schema) for name, definition in schema["properties"].items()
        }
        left = {
            column.name: properties[column.name]
            for column in columns
            if column.name in properties and not _covered(properties[column.name], column)
        }
        #: Upper bounds of the lengths of texts, in code points.
        self.lengths = {
            column.name: length
            for column in columns
            if column.name in left
            and (length := _only_a_length(left[column.name], column)) is not None
        }
        root = {
            keyword: value
            for keyword, value in schema.items()
            if keyword not in _SILENT_ROOT and not keyword.startswith(("x-", "$"))
        }
        if root.get("additionalProperties") in (True, {}):
            del root["additionalProperties"]
        #: Properties that a record must have, be they null or not.
        self.required: frozenset[str] = frozenset()
        if isinstance(root.get("required"), list):
            self.required = frozenset(root.pop("required"))
        #: Whether a record may have no property but the schema's.
        self.is_closed = root.get("additionalProperties") is False
        #: Whether there are rules beside lengths, required properties and closedness.
        self.has_rules = bool(left.keys() - self.lengths) or bool(
            root.keys() - ({"additionalProperties"} if self.is_closed else set())
        )
        if "additionalProperties" in root:
            left = dict(properties)
        definitions = {k: schema[k] for k in ("definitions", "$defs") if k in schema}
        self._validator = (
            validator_class({**definitions, **root, "properties": left}) if left or root else None
        )
        self.needed = self._validator is not None or bool(self.required)

    def fault(self, record: Mapping[str, Any]) -> str | None:
        """Why ``record`` breaks its schema, without its values; ``None`` when it does not."""
        if not self.required <= record.keys():
            missing = sorted(self.required - record.keys())
            return f"required property {', '.join(map(repr, missing))} is missing"
        if self._validator is None:
            return None
        error = next(self._validator.iter_errors(record), None)
        if error is None:
            return None
        place = ".".join(str(part) for part in error.path) or "the record"
        return f"{place} breaks the schema's {error.validator!r}"


def _only_a_length(definition: object, column: Column) -> int | None:
    """The ``maxLength`` of a text that has no other rule."""
    if not isinstance(definition, dict) or column.kind is not Kind.TEXT:
        return None
    length = definition.get("maxLength")
    others = {keyword: value for keyword, value in definition.items() if keyword != "maxLength"}
    return length if isinstance(length, int) and _covered(others, column) else None


def _covered(definition: object, column: Column) -> bool:
    """Whether a strict column accepts exactly what the definition accepts."""
    if not isinstance(definition, dict):
        return True
    if any(
        keyword not in _SILENT and not keyword.startswith(("x-", "$")) for keyword in definition
    ):
        return False
    types = {name for name, _ in simple_types(definition)} - {"null"}
    if not types:
        return not ({"anyOf", "oneOf"} & definition.keys())
    branches = definition.get("anyOf") or definition.get("oneOf") or []
    if not all(_covered(branch, column) for branch in branches):
        return False
    if column.kind is Kind.TEXT:
        return column.only_strings
    return True
