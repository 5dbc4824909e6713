"""The vocabulary of a published environment: entity sets, properties, enums.

Values only. ``contoso_sandbox.entities`` fills it with Contoso's sets, ``contoso_sandbox.world``
keeps one DuckDB table per set, ``contoso_sandbox.d365`` serves both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

#: Columns that every table carries beside its properties: the root pair of the etag.
REC_ID = "__rec_id"
REC_VERSION = "__rec_version"
#: Column with the further ``RecVersion,RecId`` pairs of a set that joins several tables.
ETAG_TAIL = "__etag_tail"


class AxType(StrEnum):
    """Data type as ``/metadata/PublicEntities`` names it (``DataType``, ODataXppType)."""

    STRING = "String"
    INT32 = "Int32"
    INT64 = "Int64"
    REAL = "Real"
    DATE = "Date"
    UTC_DATE_TIME = "UtcDateTime"
    ENUM = "Enum"
    GUID = "Guid"
    BOOLEAN = "Boolean"
    CONTAINER = "Container"


#: The Edm type behind each; an enum's is its own qualified name.
EDM_TYPES = {
    AxType.STRING: "Edm.String",
    AxType.INT32: "Edm.Int32",
    AxType.INT64: "Edm.Int64",
    AxType.REAL: "Edm.Decimal",
    AxType.DATE: "Edm.DateTimeOffset",
    AxType.UTC_DATE_TIME: "Edm.DateTimeOffset",
    AxType.GUID: "Edm.Guid",
    AxType.BOOLEAN: "Edm.Boolean",
    AxType.CONTAINER: "Edm.Binary",
}

#: Column type in the DuckDB table. Dates are stored as the instants that travel (noon for
#: ``Date``), enums as their member's name, NULL where the stored number has no member.
SQL_TYPES = {
    AxType.STRING: "VARCHAR",
    AxType.INT32: "INTEGER",
    AxType.INT64: "BIGINT",
    AxType.DATE: "TIMESTAMP",
    AxType.UTC_DATE_TIME: "TIMESTAMP",
    AxType.ENUM: "VARCHAR",
    AxType.GUID: "VARCHAR",
    AxType.BOOLEAN: "BOOLEAN",
    AxType.CONTAINER: "BLOB",
}


#: What F&O stores where a value is absent; only an enum can be NULL (a number without a member).
ABSENT = {
    AxType.STRING: "''",
    AxType.INT32: "0",
    AxType.INT64: "0",
    AxType.REAL: "0",
    AxType.DATE: "TIMESTAMP '1900-01-01 12:00:00'",
    AxType.UTC_DATE_TIME: "TIMESTAMP '1900-01-01 00:00:00'",
    AxType.GUID: "'00000000-0000-0000-0000-000000000000'",
    AxType.BOOLEAN: "false",
    AxType.CONTAINER: "''::BLOB",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of an entity.

    Attributes:
        name: As published, case-sensitive.
        ax_type: What tells ``Date`` from ``UtcDateTime``.
        enum: Name of the enum where ``ax_type`` is ``ENUM``.
        nullable: As published: strings and enums are, dates, numbers and key parts are not.
        label: English label (``/metadata/Labels``), served under ``label_id``.
        scale: Decimal digits of a ``REAL`` (exchange rates carry 16).
        max_length: Most characters of a ``STRING``, where it is no memo.
        stored_as: Name of the column where it is not the property's: DuckDB does not tell names
            apart that differ in case alone.
    """

    name: str
    ax_type: AxType
    enum: str | None = None
    nullable: bool = False
    label: str = ""
    label_id: str = ""
    scale: int = 6
    max_length: int | None = None
    stored_as: str = ""

    @property
    def column(self) -> str:
        """Name of the column in the DuckDB table."""
        return self.stored_as or self.name

    @property
    def precision(self) -> int:
        """All digits of a ``REAL``."""
        return 38 if self.scale > 6 else 32  # noqa: PLR2004 - money's scale

    @property
    def sql_type(self) -> str:
        """Column type in the DuckDB table."""
        if self.ax_type is AxType.REAL:
            return f"DECIMAL({self.precision}, {self.scale})"
        return SQL_TYPES[self.ax_type]


@dataclass(frozen=True, slots=True)
class Navigation:
    """A navigation property that ``$expand`` can follow, one level.

    Attributes:
        name: As published.
        related_set: Entity set that it leads to.
        many: Whether it leads to a collection.
        on: Pairs (own property, related property).
    """

    name: str
    related_set: str
    many: bool
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EntitySet:
    """One public entity set.

    Attributes:
        name: The collection, for example ``VendorsV2``; also the DuckDB table's name.
        entity: The public entity, for example ``VendorV2`` (key of ``/metadata/PublicEntities``).
        data_entity: The internal name, for example ``VendVendorV2Entity``.
        key: Names of the key properties in order; empty for a keyless set.
        sources: How many data sources the etag tells of (pairs ``RecVersion,RecId``).
    """

    name: str
    entity: str
    data_entity: str
    category: str
    label: str
    properties: tuple[Property, ...]
    key: tuple[str, ...]
    navigations: tuple[Navigation, ...] = ()
    sources: int = 1
    label_id: str = ""
    read_only: bool = False

    @property
    def per_company(self) -> bool:
        """Whether rows belong to a company (``dataAreaId`` is published)."""
        return any(p.name == "dataAreaId" for p in self.properties)


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum with its members in order: name, stored number, label."""

    name: str
    members: tuple[tuple[str, int], ...]
    label_id: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """All that an environment publishes.

    Attributes:
        unserved: Data entities that are no OData sets (``DataServiceEnabled`` is false).
    """

    entity_sets: dict[str, EntitySet] = field(default_factory=dict)
    enums: dict[str, EnumType] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    unserved: tuple[EntitySet, ...] = ()
