"""A tap that does nothing: one stream to discover, no row to send."""

from __future__ import annotations

import json
import sys

_SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}}
_STREAM = {
    "tap_stream_id": "nothing",
    "stream": "nothing",
    "key_properties": ["id"],
    "schema": _SCHEMA,
    "metadata": [{"breadcrumb": [], "metadata": {"inclusion": "available", "selected": True}}],
}
_MESSAGES: tuple[dict[str, object], ...] = (
    {"type": "SCHEMA", "stream": "nothing", "schema": _SCHEMA, "key_properties": ["id"]},
    {"type": "STATE", "value": {"bookmarks": {"nothing": {}}}},
)


def main() -> None:
    """Answer as a tap."""
    if "--discover" in sys.argv:
        sys.stdout.write(json.dumps({"streams": [_STREAM]}, indent=2))
        return
    sys.stdout.writelines(json.dumps(message) + "\n" for message in _MESSAGES)


if __name__ == "__main__":
    main()
