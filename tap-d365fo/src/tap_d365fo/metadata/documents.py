"""The JSON documents of ``/metadata``, and the values in them.

Only the fields that are used are decoded: the answer that describes a whole environment is 100 MB.

Source: services-home-page.md of Microsoft's F&O documentation; ``mafzaal/d365fo-client``
(``src/d365fo_client/metadata_api.py``), which parses a live environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import Entity, EntityListing, Navigation, Property, Published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_d365fo.reading.typed_rows import Row


class _Document(msgspec.Struct, rename="pascal", gc=False):
    """Base of what the service sends; it names its fields in PascalCase."""


class _DataEntity(_Document):
    name: str | None = None
    public_entity_name: str | None = None
    public_collection_name: str | None = None
    data_service_enabled: bool | None = None
    entity_category: str | None = None


class _Property(_Document):
    name: str
    type_name: str
    data_type: str
    is_key: bool | None = None
    label_id: str | None = None


class _NavigationProperty(_Document):
    name: str
    related_entity: str | None = None
    cardinality: str | None = None


class PublicEntity(_Document, kw_only=True):
    """One entry of ``/metadata/PublicEntities``."""

    entity_set_name: str | None = None
    label_id: str | None = None
    properties: list[_Property]
    navigation_properties: list[_NavigationProperty] | None = None

    def entity(self, listing: EntityListing) -> Entity:
        """The entity that it describes.

        Raises:
            DataError: it lacks what every entity has.
        """
        if not self.properties:
            message = f"the metadata service lists no properties for {listing.entity_set}"
            raise DataError(message)
        return Entity(
            entity_set=listing.entity_set,
            properties=tuple(
                Property(
                    name=p.name,
                    edm_type=p.type_name,
                    data_type=p.data_type,
                    is_key=bool(p.is_key),
                    label_id=p.label_id or "",
                )
                for p in self.properties
            ),
            category=listing.category,
            navigations=tuple(
                Navigation(n.name, n.related_entity or "", many=n.cardinality == "Multiple")
                for n in self.navigation_properties or ()
            ),
            label_id=self.label_id or "",
        )


class EntitySetName(_Document):
    """The one field of ``PublicEntity`` that finding an entity needs."""

    entity_set_name: str | None = None


class Collection(msgspec.Struct):
    """A page of documents, each as the bytes that came."""

    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


def public_entity(document: dict[str, Any], listing: EntityListing) -> Entity:
    """The entity in the answer to ``PublicEntities('…')``.

    Raises:
        DataError: the answer is not of the shape that is documented.
    """
    try:
        return msgspec.convert(document, PublicEntity).entity(listing)
    except msgspec.ValidationError as error:
        message = f"the metadata service sent an unknown form of {listing.entity_set}: {error}"
        raise DataError(message) from error


def published(rows: Sequence[Row]) -> Published:
    """What the rows of ``DataEntities`` offer.

    An entity with ``DataServiceEnabled`` false exists but can only be exported in packages.

    Raises:
        DataError: a row is not of the shape that is documented.
    """
    listings: dict[str, EntityListing] = {}
    packages_only: set[str] = set()
    try:
        entities = msgspec.convert(rows, list[_DataEntity])
    except msgspec.ValidationError as error:
        message = f"the metadata service sent an unknown form of DataEntities: {error}"
        raise DataError(message) from error
    for e in entities:
        if not e.data_service_enabled:
            packages_only |= {
                e.name or "",
                e.public_entity_name or "",
                e.public_collection_name or "",
            }
        elif e.public_collection_name:
            if not e.public_entity_name:
                message = "the metadata service sent an entry without PublicEntityName"
                raise DataError(message)
            listings[e.public_collection_name] = EntityListing(
                entity=e.public_entity_name,
                entity_set=e.public_collection_name,
                category=e.entity_category or "",
            )
    return Published(listings, frozenset(packages_only - listings.keys() - {""}))
