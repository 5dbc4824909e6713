"""Whether a document and the ``.hyper`` file beside it fit together. Values only."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contoso_sandbox.tableau.documents import Document, Record
    from contoso_sandbox.tableau.hyper_schema import HyperContent

#: Types of Hyper, by how a document calls them.
_LOCAL_TYPES = {
    "TEXT": "string",
    "VARCHAR": "string",
    "CHAR": "string",
    "JSON": "string",
    "SMALL_INT": "integer",
    "INT": "integer",
    "BIG_INT": "integer",
    "OID": "integer",
    "DOUBLE": "real",
    "NUMERIC": "real",
    "BOOL": "boolean",
    "DATE": "date",
    "TIME": "datetime",
    "TIMESTAMP": "datetime",
    "TIMESTAMP_TZ": "datetime",
}


def why_not_fitting(document: Document, content: HyperContent) -> str | None:
    """What keeps a document from describing a file, or ``None`` when it does."""
    for relation in document.relations:
        if content.find(relation.table, relation.schema) is None:
            where = f"[{relation.schema}].[{relation.table}]"
            return f"the .tds reads {where}, which the extract does not hold"
    return (
        _why_no_objects(document)
        or _why_no_records(document, content)
        or _why_no_fields(document)
        or _why_no_relationships(document)
    )


def _why_no_objects(document: Document) -> str | None:
    held = sorted(relation.name for relation in document.objects.values())
    if held != sorted(relation.name for relation in document.relations):
        return "the objects of the .tds are not its relations"
    for relation in document.objects.values():
        if relation not in document.relations:
            return f"object and relation '{relation.name}' of the .tds differ"
    return None


def _why_no_records(document: Document, content: HyperContent) -> str | None:
    relations = {relation.name: relation for relation in document.relations}
    for record in document.records:
        relation = relations.get(record.relation)
        if relation is None:
            return f"field [{record.local}] of the .tds is of no relation"
        table = content.find(relation.table, relation.schema)
        column = table.column(record.column) if table is not None else None
        if column is None:
            return (
                f"the .tds reads column '{record.column}' of '{relation.table}', which is not there"
            )
        if _LOCAL_TYPES.get(column.type.partition("(")[0]) != record.local_type:
            return f"column '{record.column}' is {column.type}, in the .tds {record.local_type}"
        if record.place not in {None, (record.relation, record.column)}:
            return f"'cols' and metadata-records of the .tds differ on [{record.local}]"
        held = document.objects.get(record.object_id)
        if held is None or held.name != record.relation:
            return f"field [{record.local}] of the .tds is of no object"
    return None


def _why_no_fields(document: Document) -> str | None:
    types = {record.local: record.local_type for record in document.records}
    for field in document.fields:
        if types.get(field.local) != field.datatype:
            return f"column [{field.local}] of the .tds is no field, or one of another type"
    for folder, locals_ in document.folders.items():
        for local in locals_:
            if local not in types:
                return f"folder '{folder}' of the .tds holds [{local}], which is no field"
    return None


def _why_no_relationships(document: Document) -> str | None:
    """Relationships connect all logical tables, without a circle."""
    records = {record.local: record for record in document.records}
    joined = {object_id: {object_id} for object_id in document.objects}
    for relationship in document.relationships:
        ends = (relationship.first, relationship.second)
        if not all(end in joined for end in ends):
            return "a relationship of the .tds leads to no object"
        for pair in relationship.pairs:
            if reason := _why_no_pair(records, ends, pair):
                return reason
        one, other = joined[relationship.first], joined[relationship.second]
        if one is other:
            return "the relationships of the .tds make a circle"
        one |= other
        for object_id in other:
            joined[object_id] = one
    if any(len(group) != len(joined) for group in joined.values()):
        return "the .tds has tables that no relationship connects"
    return None


def _why_no_pair(
    records: dict[str, Record], ends: tuple[str, str], pair: tuple[str, str]
) -> str | None:
    sides = [records.get(local) for local in pair]
    for side, local, end in zip(sides, pair, ends, strict=True):
        if side is None:
            return f"a relationship of the .tds is by [{local}], which is no field"
        if side.object_id != end:
            return f"a relationship of the .tds is by [{local}], which is not of its object"
    kinds = {"real" if side.local_type == "integer" else side.local_type for side in sides if side}
    return (
        None
        if len(kinds) == 1
        else f"a relationship of the .tds compares {' with '.join(sorted(kinds))}"
    )
