"""Mistakes in settings and catalogs, told before the first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError
from tap_d365fo.audit import DELETED_AT
from tap_d365fo.metadata.filters import unknown_names
from tap_d365fo.names import nearest
from tap_d365fo.reading.plan import plan_reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from singer_sdk.singerlib.catalog import CatalogEntry

    from tap_d365fo.metadata.model import Entity, Published
    from tap_d365fo.settings import EntitySettings


def check_published(names: Iterable[str], published: Published, *, where: str) -> None:
    """Every name is that of a set that OData can read.

    Args:
        names: Entity sets.
        published: What there is.
        where: Setting or file that names them.

    Raises:
        ConfigError: one is not, with the nearest names.
    """
    for name in names:
        if name not in published.listings:
            raise ConfigError(
                unknown_set(name, published.listings, published.packages_only, where=where)
            )


def unknown_set(
    name: str, published: Collection[str], packages_only: Collection[str], *, where: str
) -> str:
    """What is wrong with the name of a set that OData does not offer."""
    if name in packages_only:
        return (
            f"{where}: {name} exists, but cannot be read by OData, only exported in packages "
            "(DataServiceEnabled is off); leave it out, or publish the entity"
        )
    return f"{where}: the environment publishes no entity set {name!r}{nearest(name, published)}"


def check_settings(entity: Entity, settings: EntitySettings) -> None:
    """Every property that ``entity_settings`` name is published.

    Raises:
        ConfigError: one is not, with the nearest names.
    """
    names = [p.name for p in entity.properties]
    navigations = [n.name for n in entity.navigations]
    key = (settings.replication_key,) if settings.replication_key else ()
    for setting, given, known, kind in (
        ("select", settings.select, names, "property"),
        ("replication_key", key, names, "property"),
        ("expand", settings.expand, navigations, "navigation property"),
    ):
        for name in given:
            if name not in known:
                message = (
                    f"entity_settings.{entity.entity_set}.{setting}: there is no {kind} "
                    f"{name!r}{nearest(name, known)}"
                )
                raise ConfigError(message)
    if entity.partial:  # a recording holds what was selected; the filter may speak of the rest
        return
    for name in unknown_names(settings.filter or "", names):
        message = (
            f"entity_settings.{entity.entity_set}.filter: there is no property "
            f"{name!r}{nearest(name, names)}"
        )
        raise ConfigError(message)


def new_columns(entity: Entity, row: Mapping[str, Any]) -> list[str]:
    """Columns of a received row that are not in the entity's metadata, annotations aside."""
    known = {p.name for p in entity.properties} | {n.name for n in entity.navigations}
    return [name for name in row if name not in known and "@" not in name]


def unknown_columns(entity: Entity, entry: CatalogEntry) -> list[str]:
    """Columns that a catalog selects and that the entity does not have."""
    known = {p.name for p in entity.properties} | {n.name for n in entity.navigations}
    known.add(DELETED_AT)  # of the tap's own making
    foreign = [name for name in entry.schema.properties or {} if name not in known]
    if not foreign:
        return []
    mask = entry.metadata.resolve_selection()
    return [name for name in foreign if mask["properties", name]]


def check_catalog(entity: Entity, entry: CatalogEntry) -> None:
    """Every column that the catalog selects is published.

    Raises:
        ConfigError: one is not, with the nearest names.
    """
    for name in unknown_columns(entity, entry):
        message = (
            f"the catalog selects {name} of {entity.entity_set}, which the environment does not "
            f"publish{nearest(name, [p.name for p in entity.properties])}; run discovery again, "
            "or correct the select rules"
        )
        raise ConfigError(message)


def wanted_part(entity: Entity, settings: EntitySettings) -> Entity:
    """The entity with what ``select`` names, its key and its replication key, or all of it."""
    if not settings.select:
        return entity
    cursor = plan_reading(entity, settings).cursor
    return entity.narrowed({*settings.select, *((cursor,) if cursor else ())})
