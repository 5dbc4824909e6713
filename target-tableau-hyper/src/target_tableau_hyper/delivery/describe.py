"""What a data source says of itself: settings and manifests in, a document's values out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from target_tableau_hyper.delivery.package import hyper_member
from target_tableau_hyper.extract.combine import Reference
from target_tableau_hyper.extract.described import described_columns
from target_tableau_hyper.extract.engine import TABLE_NAME
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.settings_datasources import closest
from target_tableau_hyper.tableau.tds import Document, FieldFolder, Link
from target_tableau_hyper.tableau.tds_fields import Table, unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from target_tableau_hyper.extract.described import DescribedColumn
    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.settings_datasources import (
        CombinedSettings,
        DatasourceSettings,
        Folder,
        Relationship,
    )

_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMERIC, Kind.DOUBLE})


@dataclass(frozen=True, slots=True)
class Description:
    """A document's values, and what of the settings found no place in it.

    Attributes:
        document: What the ``.tds`` would say.
        unknown: Fields of folders that no table has, or that more than one has.
        unreadable: Names that no ``.tds`` can hold: then there is only the bare file.
    """

    document: Document
    unknown: tuple[str, ...]
    unreadable: tuple[str, ...]


def describe_one(manifest: Manifest, settings: DatasourceSettings, *, stem: str) -> Description:
    """The data source of one stream."""
    columns = described_columns(manifest)
    tables = {
        manifest.stream: Table(
            TABLE_NAME, manifest.datasource, columns, dimensions=frozenset(manifest.keys)
        )
    }
    return _description(manifest.datasource, stem, tables, (), settings.folders)


def describe_several(
    settings: CombinedSettings, manifests: Mapping[str, Manifest], *, stem: str
) -> Description:
    """The data source of several streams.

    Args:
        settings: Its entry.
        manifests: The seal of each of its streams.
        stem: Names the files of its package.

    Raises:
        ConfigError: its relationships do not fit the columns.
    """
    columns = {stream: described_columns(manifests[stream]) for stream in settings.tables}
    for relationship in settings.relationships:
        check_relationship(settings.key, relationship, columns, manifests[relationship.one].keys)
    tables = {
        stream: Table(
            stream,
            caption,
            columns[stream],
            dimensions=frozenset(manifests[stream].keys).union(
                *(
                    [many if stream == relationship.many else one for many, one in relationship.on]
                    for relationship in settings.relationships
                    if stream in {relationship.many, relationship.one}
                )
            ),
        )
        for stream, caption in settings.tables.items()
    }
    links = tuple(Link(one.many, one.one, one.on) for one in settings.relationships)
    return _description(settings.name, stem, tables, links, settings.folders)


def references(settings: CombinedSettings) -> tuple[Reference, ...]:
    """The relationships as the assumed keys of the combined file."""
    return tuple(Reference(one.many, one.one, one.on) for one in settings.relationships)


def check_relationship(
    key: str,
    relationship: Relationship,
    columns: Mapping[str, Sequence[DescribedColumn]],
    keys: Sequence[str],
) -> None:
    """Compare a relationship with the columns of its two streams.

    Args:
        key: Of the entry in the settings, for messages.
        relationship: What to check.
        columns: Those of both streams.
        keys: Key properties of the stream that is referred to; where it has none, its rows are
            looked at when the tables are put together.

    Raises:
        ConfigError: a column is missing, types do not compare, or several rows could be meant.
    """
    where = f"datasources.{key}: {relationship.many!r} is related to {relationship.one!r} by"
    for names in relationship.on:
        kinds = []
        for stream, name in zip((relationship.many, relationship.one), names, strict=True):
            known = {column.name: column.column.kind for column in columns[stream]}
            if name not in known:
                message = f"{where} {name!r}, which {stream!r} does not have{closest(name, known)}"
                raise ConfigError(message)
            kinds.append(known[name])
        if kinds[0] is not kinds[1] and not _NUMBERS.issuperset(kinds):
            message = (
                f"{where} {names[0]!r} and {names[1]!r}, but one is {kinds[0].value} and the other "
                f"{kinds[1].value}; only equal types can be compared"
            )
            raise ConfigError(message)
    missing = [name for name in keys if name not in {one for _, one in relationship.on}]
    if missing:
        message = (
            f"{where} less than the whole key of {relationship.one!r}: several of its rows could "
            f"be meant; name {' and '.join(map(repr, missing))} as well"
        )
        raise ConfigError(message)


def _description(
    name: str,
    stem: str,
    tables: Mapping[str, Table],
    links: tuple[Link, ...],
    folders: Sequence[Folder],
) -> Description:
    placed, unknown = _placed(tables, folders)
    names = [name for table in tables.values() for name in (table.name, *_column_names(table))]
    return Description(
        Document(name, hyper_member(stem), tuple(tables.values()), links, placed),
        tuple(unknown),
        tuple(unreadable(names)),
    )


def _placed(
    tables: Mapping[str, Table], folders: Sequence[Folder]
) -> tuple[tuple[FieldFolder, ...], list[str]]:
    """Folders with the columns that they mean; a folder of none is left out."""
    placed, unknown = [], list[str]()
    seen: set[tuple[str, str]] = set()
    for folder in folders:
        fields = []
        for field in folder.fields:
            found = _meant(tables, field)
            if len(found) == 1 and found[0] not in seen:
                fields += found
                seen.update(found)
            else:
                unknown.append(field)
        if fields:
            placed.append(FieldFolder(folder.name, tuple(fields)))
    return tuple(placed), unknown


def _meant(tables: Mapping[str, Table], field: str) -> list[tuple[str, str]]:
    """Table and column of a field: ``Column``, or ``Stream.Column``."""
    plain = [(table.name, field) for table in tables.values() if field in _column_names(table)]
    return plain or [
        (table.name, name)
        for stream, table in tables.items()
        for name in _column_names(table)
        if field == f"{stream}.{name}"
    ]


def _column_names(table: Table) -> list[str]:
    return [column.name for column in table.columns]
