"""What an environment says of its entities, as values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a public entity.

    Whether a property may be null is not among the facts: the metadata service does not say it, and
    what F&O declares never null arrives as a sentinel that becomes null.

    Attributes:
        name: As published; case matters.
        edm_type: ``TypeName``: ``Edm.…``, or the qualified name of an enum.
        data_type: ``DataType``: the only place that tells ``Date`` from ``UtcDateTime``.
        is_key: Part of the entity key.
        precision: Digits of a decimal, where they are published (``$metadata`` of some builds).
        scale: Those of them behind the point.
        max_length: Longest string in characters, where it is published.
        label_id: Names the label, as in ``@SYS13342``; empty where there is none.
        label: The label's text, once it has been looked up.
        description: What ``Org.OData.Core.V1.Description`` says; F&O itself publishes none.
    """

    name: str
    edm_type: str
    data_type: str
    is_key: bool
    precision: int | None = None
    scale: int | None = None
    max_length: int | None = None
    label_id: str = ""
    label: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Navigation:
    """A navigation property, which ``$expand`` can follow one level.

    Attributes:
        name: As published.
        related: Public entity that it leads to (the entity, not its set).
        many: Whether it leads to a collection.
        properties: Of the related entity, once they have been looked up: when it is expanded.
    """

    name: str
    related: str
    many: bool
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityListing:
    """One entity set that OData offers.

    Attributes:
        entity: Public entity name, the key of ``/metadata/PublicEntities``; the qualified name of
            the entity type where ``$metadata`` was read instead.
        entity_set: Name in ``/data``.
        category: Master, Transaction, Configuration, Reference, Document, Parameters or empty.
    """

    entity: str
    entity_set: str
    category: str


@dataclass(frozen=True, slots=True)
class Published:
    """What an environment offers as a whole.

    Attributes:
        listings: The sets that OData can read, by set name.
        packages_only: Names of entities that exist, but can only be exported in packages.
        from_document: Learnt from ``$metadata``, for want of a metadata service.
    """

    listings: dict[str, EntityListing]
    packages_only: frozenset[str] = frozenset()
    from_document: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """A public entity with its properties in published order.

    Attributes:
        partial: The environment publishes more properties than these.
    """

    entity_set: str
    properties: tuple[Property, ...]
    category: str = ""
    navigations: tuple[Navigation, ...] = field(default=())
    label_id: str = ""
    label: str | None = None
    partial: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key properties in published order; empty for a keyless set."""
        return tuple(p.name for p in self.properties if p.is_key)

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company."""
        return any(p.name == COMPANY_PROPERTY for p in self.properties)

    @property
    def label_ids(self) -> frozenset[str]:
        """All labels that its schema can show."""
        return frozenset({self.label_id, *(p.label_id for p in self.properties)} - {""})

    def find(self, name: str) -> Property | None:
        """The property called ``name``, if it is published."""
        return next((p for p in self.properties if p.name == name), None)

    def navigation(self, name: str) -> Navigation | None:
        """The navigation property called ``name``, if it is published."""
        return next((n for n in self.navigations if n.name == name), None)

    def labelled(self, labels: Mapping[str, str]) -> Entity:
        """The same entity with the texts of its labels."""
        return replace(
            self,
            label=labels.get(self.label_id),
            properties=tuple(replace(p, label=labels.get(p.label_id)) for p in self.properties),
        )

    def narrowed(self, names: Collection[str]) -> Entity:
        """The same entity with its key and the properties in ``names`` alone."""
        kept = tuple(p for p in self.properties if p.is_key or p.name in names)
        partial = self.partial or len(kept) < len(self.properties)
        return replace(self, properties=kept, partial=partial)

    def expanded(self, properties: Mapping[str, tuple[Property, ...]]) -> Entity:
        """The same entity, knowing the properties of what its navigations lead to, by name."""
        return replace(
            self,
            navigations=tuple(
                replace(n, properties=properties.get(n.name, n.properties))
                for n in self.navigations
            ),
        )


#: Entities without it are shared by all companies and are never filtered by one.
COMPANY_PROPERTY = "dataAreaId"
