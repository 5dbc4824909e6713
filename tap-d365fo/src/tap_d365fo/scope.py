"""Which entities a run offers or reads, and what of them: settings and catalog against metadata."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError
from tap_d365fo.entities import resolve_entities
from tap_d365fo.metadata.catalog import catalog_entry, is_selected, shape_of
from tap_d365fo.metadata.checks import (
    check_catalog,
    check_published,
    check_settings,
    unknown_columns,
    wanted_part,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from singer_sdk.singerlib import Catalog
    from singer_sdk.singerlib.catalog import CatalogEntry

    from tap_d365fo.metadata.model import Entity, EntityListing, Property
    from tap_d365fo.metadata.service import MetadataService
    from tap_d365fo.settings import EntitySettings, Settings

_logger = logging.getLogger("tap-d365fo")


class Scope:
    """Answers what is read, as settings and catalog want it."""

    def __init__(self, metadata: MetadataService, settings: Settings) -> None:
        """Look nothing up yet."""
        self._metadata = metadata
        self._settings = settings

    @property
    def published(self) -> dict[str, EntityListing]:
        """All entity sets that the environment offers."""
        return self._metadata.published().listings

    def entities(self, catalog: Catalog | None) -> list[Entity]:
        """What is read: everything in scope, or with a catalog what that selects of it.

        Raises:
            ConfigError: settings or catalog name what the environment does not publish.
        """
        if catalog is None:
            return list(self._described(self._listings()))
        entries = {name: entry for name, entry in catalog.items() if is_selected(entry)}
        selected = [listing for listing in self._listings() if listing.entity_set in entries]
        return [
            self._as_catalogued(entity, entries[entity.entity_set])
            for entity in self._metadata.entities(selected)
        ]

    def catalog_entries(self) -> Iterator[dict[str, Any]]:
        """The catalog of everything in scope, as the environment is now.

        In a replay, that of what the recorded run read, as it was then.
        """
        has_snapshots = self._settings.snapshot_path is not None
        anew = not self._metadata.is_recorded
        for entity in self._described(self._listings(anew=anew), anew=anew):
            shape = shape_of(
                entity, self._settings.of(entity.entity_set), has_snapshots=has_snapshots
            )
            yield catalog_entry(entity.entity_set, shape)

    def check_catalog(self, catalog: Catalog | None, streams: Container[str]) -> None:
        """A selected stream that is no longer published must not pass for one without changes.

        Raises:
            ConfigError: names the stream and the nearest ones.
        """
        for entry in catalog.streams if catalog else ():
            name = entry.tap_stream_id
            if is_selected(entry) and name not in streams:
                check_published(
                    [name], self._metadata.published(), where=f"the catalog selects {name}"
                )
                message = (
                    f"the catalog selects {name}, which is not among the `entities` of the "
                    "settings; add it there, or run discovery again"
                )
                raise ConfigError(message)

    def add_titles(self, catalog: Catalog) -> None:
        """Put labels into schemas that were discovered without them."""
        listings = self.published
        entries = {name: e for name, e in catalog.items() if name in listings and is_selected(e)}
        for entity in self._metadata.entities([listings[name] for name in entries]):
            schema = entries[entity.entity_set].schema
            schema.title = schema.title or entity.label
            columns = schema.properties or {}
            for prop in entity.properties:
                if (column := columns.get(prop.name)) is not None:
                    column.title = column.title or prop.label

    def _listings(self, *, anew: bool = False) -> list[EntityListing]:
        """The entity sets that the ``entities`` setting stands for; in a replay those then read."""
        published = self._metadata.published(anew=anew)
        check_published(self._settings.entity_settings, published, where="entity_settings")
        listings = published.listings
        chosen = resolve_entities(self._settings.entities, listings, published.packages_only)
        _logger.info("%d of %d published entity sets are in scope", len(chosen), len(listings))
        is_recorded = self._metadata.is_recorded
        return [listings[n] for n in chosen if not is_recorded or self._metadata.knows(n)]

    def _described(
        self, listings: Sequence[EntityListing], *, anew: bool = False
    ) -> Iterator[Entity]:
        """The entities of ``listings`` as the settings want them read."""
        for entity in self._metadata.entities(listings, anew=anew):
            settings = self._settings.of(entity.entity_set)
            check_settings(entity, settings)
            yield self._wanted(entity, settings)

    def _as_catalogued(self, entity: Entity, entry: CatalogEntry) -> Entity:
        """The entity as the settings want it read, with all that the catalog selects.

        Raises:
            ConfigError: it lacks something, and what is known of it is not merely out of date.
        """
        name = entity.entity_set
        if unknown_columns(entity, entry) and self._metadata.came_from_cache(name):
            (entity,) = self._metadata.entities([self.published[name]], anew=True)
        check_catalog(entity, entry)
        settings = self._settings.of(name)
        check_settings(entity, settings)
        return self._wanted(entity, settings)

    def _wanted(self, entity: Entity, settings: EntitySettings) -> Entity:
        wanted = wanted_part(entity, settings)
        if not settings.expand:
            return wanted
        return wanted.expanded({name: self._related(entity, name) for name in settings.expand})

    def _related(self, entity: Entity, navigation: str) -> tuple[Property, ...]:
        """Properties of the entity that a navigation property leads to."""
        found = entity.navigation(navigation)
        related = found.related if found else ""
        listing = next((each for each in self.published.values() if each.entity == related), None)
        if listing is None:
            message = (
                f"entity_settings.{entity.entity_set}.expand: {navigation} leads to an entity that "
                "OData does not offer"
            )
            raise ConfigError(message)
        return self._metadata.entity(listing).properties
