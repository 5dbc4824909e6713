"""Singer messages, written by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def dump(message: dict[str, Any]) -> str:
    """One message as a line; a Decimal becomes the JSON number with its own digits."""
    text = json.dumps(message, default=lambda number: f"\u0001{number}\u0001", ensure_ascii=True)
    return text.replace('"\\u0001', "").replace('\\u0001"', "")


def schema(
    stream: str, properties: dict[str, Any], keys: Sequence[str] = ("id",), **more: object
) -> dict[str, Any]:
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties, **more},
        "key_properties": list(keys),
    }


def record(stream: str, values: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"type": "RECORD", "stream": stream, "record": values, **more}


def state(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "STATE", "value": value}


def audit(run_id: str, streams: dict[str, Any], *, complete: bool) -> dict[str, Any]:
    return state(
        {"bookmarks": {}, "audit": {"run_id": run_id, "complete": complete, "streams": streams}}
    )
