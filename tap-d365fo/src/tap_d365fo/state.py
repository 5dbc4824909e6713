"""The state that a run is given: looked at before anything is read by it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from pipeline_core.errors import ConfigError


class _Partition(msgspec.Struct):
    """What we write into a bookmark; other taps' keys are left alone."""

    context: dict[str, str] | None = None
    covers: str | None = None
    rows: int | None = None
    settled: dict[str, int | None] | None = None
    settled_before: dict[str, int | None] | None = None
    resume: dict[str, Any] | list[str] | None = None
    read: dict[str, Any] | None = None
    removal: str | None = None


class _Bookmark(_Partition):
    partitions: list[_Partition] = []


def checked_state(content: str) -> str:
    """A state that can be taken up, as text.

    A STATE message, as a tap writes it, is taken for the state that it holds.

    Raises:
        ConfigError: it is none. The SDK would end in a traceback, or read everything again without
            a word.
    """
    try:
        state = json.loads(content)
    except ValueError:
        state = None
    if isinstance(state, dict) and state.get("type") == "STATE":
        state = state.get("value")
    if not isinstance(state, dict):
        raise ConfigError(_refused("holds no JSON object"))
    if state and not state.keys() & {"bookmarks", "audit"}:
        raise ConfigError(_refused("holds no bookmarks"))
    bookmarks = state.get("bookmarks") or {}
    if not isinstance(bookmarks, dict):
        raise ConfigError(_refused("holds bookmarks that are no object"))
    for stream, bookmark in bookmarks.items():
        try:
            msgspec.convert(bookmark, _Bookmark)
        except msgspec.ValidationError as error:
            raise ConfigError(_refused(f"is damaged at {stream} ({error})")) from error
    return json.dumps(state)


def _refused(what: str) -> str:
    return (
        f"the file given as --state {what}; give it the last state that the target wrote, or leave "
        "it out to read everything"
    )
