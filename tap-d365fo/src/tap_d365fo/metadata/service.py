"""What the environment publishes: from the cache, from ``/metadata``, or from ``$metadata``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from tap_d365fo.access.client import NotFoundError
from tap_d365fo.metadata.cache import MetadataCache
from tap_d365fo.metadata.edmx_source import MetadataDocument
from tap_d365fo.metadata.endpoints import MOST_SINGLE, MetadataEndpoints
from tap_d365fo.metadata.labels import Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tap_d365fo.metadata.access import Access
    from tap_d365fo.metadata.model import Entity, EntityListing, Published

_logger = logging.getLogger("tap-d365fo.metadata")


class MetadataService:
    """Knows an environment, and asks it for no more than is needed."""

    def __init__(
        self,
        access: Access,
        *,
        cache: MetadataCache | None = None,
        labels: Labels | None = None,
        is_recorded: bool = False,
    ) -> None:
        """Ask through ``access`` for what ``cache`` does not know; add titles from ``labels``.

        Where ``is_recorded``, the cache is that of a run in the past, and there is nobody to ask.
        """
        self.is_recorded = is_recorded
        self._access = access
        self._endpoints = MetadataEndpoints(access)
        self._document = MetadataDocument(access)
        self._cache = cache
        self._labels = labels
        self._published: Published | None = None
        self._fetched: dict[str, Entity] = {}
        self._from_cache: set[str] = set()

    def published(self, *, anew: bool = False) -> Published:
        """All entity sets that the environment has; ``anew`` asks it whatever is known.

        Raises:
            ConfigError: it offers neither a metadata service nor ``$metadata``.
        """
        if self._published is None or anew:
            known = self._cache.published() if self._cache and not anew else None
            self._published = known or self._ask()
        return self._published

    def entity(self, listing: EntityListing) -> Entity:
        """The description of one entity."""
        return next(self.entities([listing]))

    def entities(self, wanted: Sequence[EntityListing], *, anew: bool = False) -> Iterator[Entity]:
        """The descriptions of entities, in the order of ``wanted``.

        Args:
            wanted: What :meth:`published` lists.
            anew: Ask the environment whatever is known.
        """
        many = len(wanted) > MOST_SINGLE
        known = {} if anew else self._known(wanted)
        missing = [listing for listing in wanted if listing.entity_set not in known]
        fetched = self._fetch(missing, many=many) if missing else iter(())
        found = (known.get(listing.entity_set) or next(fetched) for listing in wanted)
        if self._labels is None or self.published().from_document:
            return found
        if many:
            # Titles of thousands of entities would be requests by the hundred thousand.
            labels = self._labels
            return (entity.labelled(labels.known(entity.label_ids)) for entity in found)
        return self._labelled(list(found), self._labels)

    @staticmethod
    def _labelled(entities: list[Entity], labels: Labels) -> Iterator[Entity]:
        texts = labels.resolve({i for entity in entities for i in entity.label_ids})
        return (entity.labelled(texts) for entity in entities)

    def _known(self, wanted: Sequence[EntityListing]) -> dict[str, Entity]:
        known: dict[str, Entity] = {}
        for name in (listing.entity_set for listing in wanted):
            if (entity := self._fetched.get(name)) is not None:
                known[name] = entity
            elif self._cache is not None and (entity := self._cache.entity(name)) is not None:
                known[name] = entity
                self._from_cache.add(name)
        return known

    def knows(self, entity_set: str) -> bool:
        """Whether the entity can be described without asking."""
        return self._cache is not None and self._cache.holds(entity_set)

    def came_from_cache(self, entity_set: str) -> bool:
        """Whether what was last said of the entity may be out of date."""
        return entity_set in self._from_cache

    def forget(self, entity_set: str) -> None:
        """Ask for the entity anew when it is next wanted.

        For readers that find it changed: a property is gone, or the server refuses to select it.
        """
        self._from_cache.discard(entity_set)
        self._fetched.pop(entity_set, None)
        self._document = MetadataDocument(self._access)  # what it holds says the same as before
        if self._cache is not None:
            self._cache.forget(entity_set)

    def _ask(self) -> Published:
        try:
            published = self._endpoints.published()
        except NotFoundError:
            _logger.info("the environment has no metadata service; reading $metadata")
            try:
                published = self._document.published()
            except NotFoundError as error:
                message = (
                    "the environment has neither /metadata nor /data/$metadata; check "
                    "environment_url (with its path, where it has one)"
                )
                raise ConfigError(message) from error
        if self._cache is not None:
            self._cache.keep_published(published)
        return published

    def _fetch(self, wanted: Sequence[EntityListing], *, many: bool) -> Iterator[Entity]:
        source = self._document if self.published().from_document else self._endpoints
        try:
            for entity in source.entities(wanted):
                self._from_cache.discard(entity.entity_set)
                if not many:
                    self._fetched[entity.entity_set] = entity
                # Of thousands, those that runs have read before are worth a file.
                if self._cache and (not many or self._cache.holds(entity.entity_set)):
                    self._cache.keep_entity(entity)
                yield entity
        except NotFoundError as error:
            raise ConfigError(self._vanished(wanted)) from error

    def _vanished(self, wanted: Sequence[EntityListing]) -> str:
        """What to say of an entity that is listed but not there; the list is renewed with it."""
        listings = self.published(anew=True).listings
        gone = [w.entity_set for w in wanted if w.entity_set not in listings]
        if gone:
            return (
                f"the environment no longer publishes {', '.join(gone)}; leave it out of "
                "`entities` and the catalog, or run discovery again"
            )
        return (
            "the metadata service lists an entity that it does not describe (HTTP 404); restart "
            "the environment's web server, or leave the entity out"
        )


def open_metadata(
    access: Access,
    *,
    cache_path: Path | None,
    max_age_s: float,
    label_language: str | None,
) -> MetadataService:
    """The metadata of an environment as the settings want them kept and labelled."""
    cache = (
        MetadataCache(cache_path, access.environment_url, max_age_s=max_age_s)
        if cache_path
        else None
    )
    labels = (
        Labels(access, label_language, folder=cache.folder if cache else None)
        if label_language
        else None
    )
    return MetadataService(access, cache=cache, labels=labels)
