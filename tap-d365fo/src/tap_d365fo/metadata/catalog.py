"""Singer catalogs: written from entities directly, and read for what is selected alone.

An environment has some 4,000 sets, and its catalog is 100 MB of text. The SDK would build a stream
object for each set, all of the text in one string, and on the way back all of it as objects
although three streams may be selected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.catalog import REPLICATION_LOG_BASED

from pipeline_core.errors import ConfigError
from tap_d365fo.audit import DELETED_AT
from tap_d365fo.metadata.edm import json_schema, selected_by_default
from tap_d365fo.reading.plan import Strategy, plan_reading

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.singerlib.catalog import CatalogEntry

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.settings import EntitySettings


@dataclass(frozen=True, slots=True)
class Shape:
    """What a stream of an entity looks like in a catalog.

    Attributes:
        schema: Its JSON Schema.
        key: Its key properties.
        cursor: Its replication key; None where it has none.
        forced_method: Replication method that does not follow from the replication key.
        automatic: Columns that always travel.
        deselected: Columns that travel only when asked for.
    """

    schema: dict[str, Any]
    key: tuple[str, ...]
    cursor: str | None
    forced_method: str | None
    automatic: frozenset[str]
    deselected: frozenset[str]


def shape_of(entity: Entity, settings: EntitySettings, *, has_snapshots: bool = False) -> Shape:
    """The one decision that the stream and the catalog share."""
    plan = plan_reading(entity, settings, has_snapshots=has_snapshots)
    tells_deletions = plan.strategy is Strategy.ETAG_SCAN
    schema = json_schema(entity, expand=settings.expand)
    if tells_deletions:
        schema["properties"][DELETED_AT] = {"type": ["string", "null"], "format": "date-time"}
    always = (*entity.key, plan.cursor, DELETED_AT if tells_deletions else None)
    return Shape(
        schema=schema,
        key=entity.key,
        cursor=plan.cursor,
        # The Singer word for "changes and deletions, not by a column"; FULL_TABLE in a catalog can
        # still ask for a full read.
        forced_method=REPLICATION_LOG_BASED if tells_deletions else None,
        automatic=frozenset(name for name in always if name is not None),
        deselected=frozenset(p.name for p in entity.properties if not selected_by_default(p)),
    )


def catalog_entry(name: str, shape: Shape) -> dict[str, Any]:
    """What ``EntityStream`` and the SDK make of a stream."""
    cursor, key = shape.cursor, list(shape.key)
    root: dict[str, Any] = {
        "inclusion": "available",
        "selected": True,
        "selected-by-default": True,
        "table-key-properties": key,
    }
    entry: dict[str, Any] = {
        "tap_stream_id": name,
        "stream": name,
        "replication_method": shape.forced_method or ("INCREMENTAL" if cursor else "FULL_TABLE"),
        "key_properties": key,
        "schema": shape.schema,
    }
    if cursor is not None:
        root |= {"replication-key": cursor, "valid-replication-keys": [cursor]}
        entry["replication_key"] = cursor
    if shape.forced_method is not None:
        root["forced-replication-method"] = shape.forced_method
    columns = [
        {"breadcrumb": ["properties", column], "metadata": _column_metadata(column, shape)}
        for column in shape.schema["properties"]
    ]
    return {**entry, "metadata": [*columns, {"breadcrumb": [], "metadata": root}]}


def _column_metadata(column: str, shape: Shape) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "inclusion": "automatic" if column in shape.automatic else "available"
    }
    if column in shape.deselected:
        metadata["selected-by-default"] = False
    return metadata


def write_catalog(entries: Iterable[dict[str, Any]], out: IO[bytes]) -> None:
    """Write a catalog, one entry at a time.

    Always over many lines: Meltano reads the output line by line, and a line of more than 64 KiB
    breaks it.
    """
    out.write(b'{\n"streams": [\n')
    for number, entry in enumerate(entries):
        if number:
            out.write(b",\n")
        out.write(msgspec.json.format(msgspec.json.encode(entry), indent=2))
    out.write(b"\n]\n}\n")
    out.flush()


class _Metadata(msgspec.Struct):
    breadcrumb: list[str]
    metadata: dict[str, Any]


class _Entry(msgspec.Struct):
    metadata: list[_Metadata] = msgspec.field(default_factory=list)


class _Catalog(msgspec.Struct):
    streams: list[msgspec.Raw] = msgspec.field(default_factory=list)


def read_selected(content: bytes | str) -> dict[str, Any]:
    """The selected streams of a catalog; of the others nothing is built.

    Raises:
        ConfigError: no catalog.
    """
    entry_of = msgspec.json.Decoder(_Entry)
    try:
        streams = [
            msgspec.json.decode(raw)
            for raw in msgspec.json.decode(content, type=_Catalog).streams
            if _selects(entry_of.decode(raw))
        ]
    except ValueError as error:
        message = "the file given as --catalog is no Singer catalog; run discovery again"
        raise ConfigError(message) from error
    return {"streams": streams}


def _selects(entry: _Entry) -> bool:
    root = next((m.metadata for m in entry.metadata if not m.breadcrumb), {})
    return _is_selected(
        described=bool(entry.metadata),
        inclusion=root.get("inclusion"),
        selected=root.get("selected"),
        by_default=root.get("selected-by-default"),
    )


def is_selected(entry: CatalogEntry) -> bool:
    """Whether a catalog selects a stream."""
    root = entry.metadata.get(())
    return _is_selected(
        described=bool(entry.metadata),
        inclusion=root.inclusion if root else None,
        selected=root.selected if root else None,
        by_default=root.selected_by_default if root else None,
    )


def _is_selected(
    *, described: bool, inclusion: str | None, selected: bool | None, by_default: bool | None
) -> bool:
    """The SDK's rule (``MetadataMapping.resolve_selection``), for the stream alone."""
    if not described:
        return True
    if inclusion in {"unsupported", "automatic"}:
        return inclusion == "automatic"
    if selected is not None:
        return selected
    return bool(by_default)
