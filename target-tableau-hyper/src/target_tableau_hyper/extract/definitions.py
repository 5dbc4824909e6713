"""What a property's JSON Schema says once ``$ref``, ``allOf`` and unions are written out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Keywords that only tell: where two say different things, the one that is nearer wins.
_TEXTS = frozenset({"title", "description", "default", "examples", "$comment"})

_UNIONS = ("anyOf", "oneOf")


def resolved(
    definition: object, schema: Mapping[str, Any], *, within: frozenset[str] = frozenset()
) -> object:
    """A definition with references into its own schema, and ``allOf``, written out.

    What cannot be written out without judging (another document, a definition that holds itself,
    parts that contradict one another) stays as it is.

    Args:
        definition: Of a property.
        schema: Where ``#/...`` leads.
        within: References that are being written out.
    """
    if not isinstance(definition, dict):
        return definition
    parts: list[object] = [
        {key: value for key, value in definition.items() if key not in {"$ref", "allOf"}}
    ]
    reference = definition.get("$ref")
    if reference is not None:
        found = _local(reference, schema)
        if found is None or reference in within:
            return definition
        within |= {reference}
        parts.append(resolved(found, schema, within=within))
    branches = definition.get("allOf")
    if isinstance(branches, list):
        parts += [resolved(branch, schema, within=within) for branch in branches]
    whole = _together(parts)
    if whole is None:
        return definition
    for union in _UNIONS:
        if isinstance(whole.get(union), list):
            whole[union] = [resolved(each, schema, within=within) for each in whole[union]]
    return whole


def alternatives(definition: object) -> Iterator[dict[str, Any]]:
    """Every definition that a property may follow, unions flattened; nothing for "anything"."""
    if not isinstance(definition, dict):
        return
    branches = next(filter(None, map(definition.get, _UNIONS)), None)
    if isinstance(branches, list):
        for branch in branches:
            yield from alternatives(branch)
    else:
        yield definition


def _local(reference: object, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a JSON Pointer of the form ``#/definitions/Amount`` leads to."""
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    place: object = schema
    for step in unquote(reference).removeprefix("#/").split("/"):
        if not isinstance(place, dict):
            return None
        place = place.get(step.replace("~1", "/").replace("~0", "~"))
    return place if isinstance(place, dict) else None


def _together(parts: Sequence[object]) -> dict[str, Any] | None:
    """One definition that says all that the parts say; ``None`` where they contradict."""
    whole: dict[str, Any] = {}
    for part in parts:
        if not isinstance(part, dict) or part.keys() & {"$ref", "allOf"}:
            return None
        for key, value in part.items():
            if whole.setdefault(key, value) != value and key not in _TEXTS:
                return None
    return whole
