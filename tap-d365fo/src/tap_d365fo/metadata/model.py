"""What the metadata service says of an entity, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a public entity.

    Attributes:
        name: As published; case matters.
        edm_type: ``TypeName``: ``Edm.…``, or the qualified name of an enum.
        data_type: ``DataType``: the only place that tells ``Date`` from ``UtcDateTime``.
        is_key: Part of the entity key.
    """

    name: str
    edm_type: str
    data_type: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class EntityListing:
    """One line of ``/metadata/DataEntities``: a set that OData offers.

    Attributes:
        entity: Public entity name, the key of ``/metadata/PublicEntities``.
        entity_set: Name in ``/data``.
        category: Master, Transaction, Configuration, Reference, Document, Parameters or empty.
    """

    entity: str
    entity_set: str
    category: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A public entity with its properties in published order."""

    entity_set: str
    properties: tuple[Property, ...]
    category: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key properties in published order; empty for a keyless set."""
        return tuple(p.name for p in self.properties if p.is_key)

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company."""
        return any(p.name == COMPANY_PROPERTY for p in self.properties)

    def find(self, name: str) -> Property | None:
        """The property called ``name``, if it is published."""
        return next((p for p in self.properties if p.name == name), None)


#: Entities without it are shared by all companies and are never filtered by one.
COMPANY_PROPERTY = "dataAreaId"
