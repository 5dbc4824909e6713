"""Check a config against its schema without ever printing a value: any of them may be a secret."""

from __future__ import annotations

import copy
import difflib
from typing import TYPE_CHECKING, Any

from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

if TYPE_CHECKING:
    from collections.abc import Mapping


def fill_defaults(config: dict[str, Any], schema: dict[str, Any]) -> None:
    """Put the default of every setting that is not set into ``config``."""
    for name, definition in schema["properties"].items():
        if "default" in definition:
            config.setdefault(name, copy.deepcopy(definition["default"]))


def faults(config: Mapping[str, Any], schema: dict[str, Any]) -> list[str]:
    """What is wrong, one text a setting."""
    return [
        f"{'.'.join(map(str, error.path)) or 'config'}: {_what_is_wrong(error)}"
        for error in DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config)
    ]


def unknown_settings(config: Mapping[str, Any], schema: dict[str, Any]) -> list[str]:
    """A line for each setting that does not exist, with the closest that does."""
    known, lines = schema["properties"], []
    for name in config:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            lines.append(f"setting {name!r} does not exist and has no effect{hint}")
    return lines


def _what_is_wrong(error: Any) -> str:  # noqa: ANN401 - jsonschema's class has no types for its fields
    """A validation error without the offending value."""
    if error.validator == "type":
        wanted = error.validator_value
        names = wanted if isinstance(wanted, list) else [wanted]
        return f"must be {' or '.join(name for name in names if name != 'null')}"
    if error.validator == "enum":
        return f"must be one of {', '.join(str(v) for v in error.validator_value if v is not None)}"
    if error.validator == "minimum":
        return f"must be at least {error.validator_value}"
    if error.validator == "maximum":
        return f"must be at most {error.validator_value}"
    if error.validator == "additionalProperties":
        return f"may only have {', '.join(error.schema['properties'])}"
    return f"breaks {error.validator}"
