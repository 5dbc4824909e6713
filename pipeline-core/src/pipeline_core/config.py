"""Tell what is wrong with a configuration without repeating the refused values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jsonschema import ValidationError


def describe_config_errors(schema: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """One sentence that names every setting that does not fit and what it should be.

    The validator's own texts quote the value (``'hunter2' is not of type 'object'``), which may be
    a secret; this one does not.
    """
    errors = sorted(
        Draft7Validator(schema).iter_errors(config), key=lambda e: list(map(str, e.path))
    )
    complaints = dict.fromkeys(
        _describe(error) for error in errors
    )  # each missing name is an error
    return "the configuration is not valid: " + "; ".join(complaints)


def _describe(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.path) or "the configuration"
    expected: Any = error.validator_value
    schema: Any = error.schema
    if error.validator == "required":
        present = error.instance if isinstance(error.instance, dict) else {}
        return f"{where} lacks {', '.join(name for name in expected if name not in present)}"
    if error.validator == "type":
        types = [expected] if isinstance(expected, str) else expected
        return f"{where} must be of type {' or '.join(types)}"
    if error.validator == "enum":
        return f"{where} must be one of {', '.join(map(str, expected))}"
    if error.validator == "additionalProperties":
        known = schema.get("properties", {})
        given: Any = error.instance
        unknown = [name for name in given if name not in known]
        return f"{where} has no {', '.join(unknown)} (known: {', '.join(known)})"
    return f"{where} does not satisfy {error.validator} {expected}"
