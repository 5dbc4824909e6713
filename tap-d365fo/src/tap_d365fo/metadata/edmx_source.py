"""Describe entities from ``/data/$metadata``, where an environment has no metadata service.

That is so where ``/metadata`` is closed, and on OData servers other than F&O. The document is
large, so it is fetched once a process, and only where no cache knows what is wanted.
"""

from __future__ import annotations

import tempfile
import weakref
from typing import IO, TYPE_CHECKING

import msgspec

from pipeline_core.errors import DataError
from tap_d365fo.metadata.edmx import EntityType, Index, compose, read_index, read_types
from tap_d365fo.metadata.model import Entity, EntityListing, Published

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_d365fo.metadata.access import Access


class MetadataDocument:
    """``$metadata`` of one environment."""

    def __init__(self, access: Access) -> None:
        """Ask through ``access`` when first needed."""
        self._access = access
        self._opened: tuple[IO[bytes], Index] | None = None

    def published(self) -> Published:
        """All entity sets that the document names.

        Raises:
            NotFoundError: the environment serves no ``$metadata``.
            DataError: what it serves is no such document.
        """
        _, index = self._document()
        listings = {
            name: EntityListing(entity=type_name, entity_set=name, category="")
            for name, type_name in index.sets.items()
        }
        return Published(listings, from_document=True)

    def entities(self, wanted: Sequence[EntityListing]) -> Iterator[Entity]:
        """The wanted entities, in their order.

        Types wait in encoded form for those that inherit from them: a tenth of the memory.

        Raises:
            DataError: a set is of a type that the document does not describe, or that has no
                properties.
        """
        file, index = self._document()
        lines = {listing.entity_set: index.lineage(listing.entity) for listing in wanted}
        needed = {type_name for line in lines.values() for type_name in line}
        packed = {t.name: msgspec.msgpack.encode(t) for t in read_types(file, index, needed)}
        unpack = msgspec.msgpack.Decoder(EntityType)
        for listing in wanted:
            parts = [unpack.decode(packed[t]) for t in lines[listing.entity_set] if t in packed]
            if len(parts) < len(lines[listing.entity_set]) or not any(p.properties for p in parts):
                message = f"$metadata describes no properties for {listing.entity_set}"
                raise DataError(message)
            yield compose(listing, parts)

    def _document(self) -> tuple[IO[bytes], Index]:
        if self._opened is None:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as this object
            weakref.finalize(self, file.close)
            url = f"{self._access.environment_url}/data/$metadata"
            index = self._access.client.download(url, file, read_index, accept="application/xml")
            self._opened = file, index
        return self._opened
