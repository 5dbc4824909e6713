"""Read the metadata service: what is published, and the properties of one entity.

``$metadata`` of a real environment is about 50 MB; these answers are small and say more (they tell
``Date`` from ``UtcDateTime``). The service is not bound to a company.

Source: data-entities/odata.md and services-home-page.md of Microsoft's F&O documentation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import Entity, EntityListing, Property

if TYPE_CHECKING:
    from tap_d365fo.reading.pages import PageReader


class MetadataService:
    """Asks an environment what it publishes."""

    def __init__(self, environment_url: str, reader: PageReader) -> None:
        """Use ``reader`` for all requests."""
        self._root = f"{environment_url}/metadata"
        self._reader = reader

    def listings(self) -> dict[str, EntityListing]:
        """All entity sets that OData offers, by set name.

        An entity with ``DataServiceEnabled`` false exists but can only be exported in packages.
        """
        found: dict[str, EntityListing] = {}
        for page in self._reader.walk(f"{self._root}/DataEntities"):
            for row in page.rows:
                if row.get("DataServiceEnabled") and row.get("PublicCollectionName"):
                    listing = EntityListing(
                        entity=_text(row, "PublicEntityName"),
                        entity_set=_text(row, "PublicCollectionName"),
                        category=str(row.get("EntityCategory") or ""),
                    )
                    found[listing.entity_set] = listing
        return found

    def entity(self, listing: EntityListing) -> Entity:
        """The properties of one entity.

        Raises:
            DataError: the answer lacks what every entity has.
        """
        name = quote(listing.entity.replace("'", "''"), safe="")
        document = self._reader.document(f"{self._root}/PublicEntities('{name}')")
        rows = document.get("Properties")
        if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
            message = f"the metadata service lists no properties for {listing.entity_set}"
            raise DataError(message)
        properties = tuple(
            Property(
                name=_text(row, "Name"),
                edm_type=_text(row, "TypeName"),
                data_type=_text(row, "DataType"),
                is_key=bool(row.get("IsKey")),
            )
            for row in rows
        )
        return Entity(listing.entity_set, properties, listing.category)


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value:
        message = f"the metadata service sent an entry without {field}"
        raise DataError(message)
    return value
