"""``/data/$metadata``: the EDMX document of an environment.

Shape and annotation terms as parsed by ``Mikeoso/IntegratoR`` (``CsdlParser.cs``). The AXType
annotation is the only place here that tells a Date from a UtcDateTime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from contoso_sandbox.d365.names import CORE_TERMS, DATA_ENTITIES, edm_type
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from contoso_sandbox.model import EntitySet, EnumType, Environment, Navigation, Property


def edmx(environment: Environment, *, facets: bool = False) -> bytes:
    """Write the whole document; ``facets`` (MaxLength, Precision, Scale) only some builds have."""
    return b"".join(edmx_pieces(environment, facets=facets))


def edmx_pieces(environment: Environment, *, facets: bool = False) -> Iterator[bytes]:
    """Write the document piece by piece: 4,000 sets are 80 MB of it."""
    return (piece.encode() for piece in _document(environment, facets=facets))


def _document(environment: Environment, *, facets: bool) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
    yield "<edmx:DataServices>"
    yield f'<Schema Namespace="{DATA_ENTITIES}" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    for enum in environment.enums.values():
        yield from _enum(enum)
    for entity_set in environment.entity_sets.values():
        yield from _entity_type(entity_set, environment.entity_sets, facets=facets)
    yield '<EntityContainer Name="Resources">'
    for entity_set in environment.entity_sets.values():
        yield from _entity_set(entity_set)
    yield "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"


def _enum(enum: EnumType) -> Iterator[str]:
    yield f"<EnumType Name={quoteattr(enum.name)}>"
    for member, value in enum.members:
        yield f'<Member Name={quoteattr(member)} Value="{value}"/>'
    yield "</EnumType>"


def _entity_type(
    entity_set: EntitySet, sets: Mapping[str, EntitySet], *, facets: bool
) -> Iterator[str]:
    yield f"<EntityType Name={quoteattr(entity_set.entity)}>"
    if entity_set.key:
        yield "<Key>"
        for name in entity_set.key:
            yield f"<PropertyRef Name={quoteattr(name)}/>"
        yield "</Key>"
    for column in entity_set.properties:
        yield from _property(column, required=column.name in entity_set.key, facets=facets)
    for navigation in entity_set.navigations:
        yield from _navigation(navigation, sets)
    if entity_set.label_id:
        yield _label(entity_set.label_id)
    yield "</EntityType>"


def _property(column: Property, *, required: bool, facets: bool) -> Iterator[str]:
    nullable = "" if column.nullable else ' Nullable="false"'
    told = _facets(column) if facets else ""
    yield f"<Property Name={quoteattr(column.name)} Type={quoteattr(edm_type(column))}"
    yield f"{nullable}{told}>"
    if required:
        yield f'<Annotation Term="{CORE_TERMS}.IsRequired" Bool="true"/>'
    if column.label_id:
        yield _label(column.label_id)
    ax_type = f"{CORE_TERMS}.AXType/{column.ax_type}"
    yield f'<Annotation Term="{CORE_TERMS}.AXType" EnumMember="{ax_type}"/></Property>'


def _facets(column: Property) -> str:
    match column.ax_type:
        case AxType.STRING if column.max_length is not None:
            return f' MaxLength="{column.max_length}"'
        case AxType.REAL:
            return f' Precision="{column.precision}" Scale="{column.scale}"'
        case _:
            return ""


def _navigation(navigation: Navigation, sets: Mapping[str, EntitySet]) -> Iterator[str]:
    related = f"{DATA_ENTITIES}.{sets[navigation.related_set].entity}"
    kind = f"Collection({related})" if navigation.many else related
    yield f"<NavigationProperty Name={quoteattr(navigation.name)} Type={quoteattr(kind)}>"
    if not navigation.many:
        for own, other in navigation.on:
            yield f"<ReferentialConstraint Property={quoteattr(own)} "
            yield f"ReferencedProperty={quoteattr(other)}/>"
    yield "</NavigationProperty>"


def _entity_set(entity_set: EntitySet) -> Iterator[str]:
    kind = f"{DATA_ENTITIES}.{entity_set.entity}"
    yield f"<EntitySet Name={quoteattr(entity_set.name)} EntityType={quoteattr(kind)}>"
    for navigation in entity_set.navigations:
        yield f"<NavigationPropertyBinding Path={quoteattr(navigation.name)} "
        yield f"Target={quoteattr(navigation.related_set)}/>"
    yield "</EntitySet>"


def _label(label_id: str) -> str:
    return f'<Annotation Term="{CORE_TERMS}.LabelId" String={quoteattr(label_id)}/>'
