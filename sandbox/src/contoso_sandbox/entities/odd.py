"""An environment in which everything is legal and nothing is usual.

One set for each thing that a reader may take for granted: that keys are strings, that names are
short, that there is a key at all. Only ``Companies`` is as everywhere.
``contoso_sandbox.entities.odd_rows`` holds the rows.
"""

from __future__ import annotations

from dataclasses import replace

from contoso_sandbox.entities.notation import parse_enum, parse_properties
from contoso_sandbox.entities.organisation import COMPANIES
from contoso_sandbox.model import AxType, EntitySet, Environment, Navigation, Property

#: As long as the name of an object of the application can be.
LONG_SET = "OddSetWhoseNameIsAsLongAsTheNameOfAnObjectOfTheApplicationCanBeAndNotALette"
LONG_KEY = "OddKeyWhoseNameIsAsLongAsTheNameOfAnObjectOfTheApplicationCanBeAndNotALette"
LONG_PROPERTY = "OddPropertyWithANameAsLongAsTheNameOfAnObjectOfTheApplicationCanBeAndNoMore"

#: Words that SQL, Python, JSON Schema or Singer keep for themselves.
_WORDS = (
    "Select From Where Order Group Table Index User Null True None class def import lambda self "
    "type properties schema value key record time_extracted _sdc_batched_at"
)
RESERVED = tuple(_WORDS.split())

#: Twenty parts, of all the types that a key part can have.
_WIDE_KEY = """
    dataAreaId key; Account key; Currency key; Text1 key; Text2 key; Text3 key; Text4 key;
    Text5 key; RecordId Int64 key; OtherRecordId Int64 key; LineNumber Real key; Share Real key;
    Position Int32 key; Version Int32 key; ValidFrom Date key; ValidTo Date key;
    CreatedOn UtcDateTime key; Direction OddDirection key; Party Guid key; IsOpen Boolean key;
    Amount Real
"""


def _set(
    name: str,
    properties: str | tuple[Property, ...],
    *,
    navigations: tuple[Navigation, ...] = (),
    key: tuple[str, ...] | None = None,
) -> EntitySet:
    """Describe a set; its key is what the notation marks, unless given."""
    parsed = parse_properties(properties) if isinstance(properties, str) else properties
    if key is None:
        notation = properties if isinstance(properties, str) else ""
        marked = [entry.split() for entry in notation.split(";")]
        key = tuple(words[0] for words in marked if words[-1:] == ["key"])
    return EntitySet(
        name=name,
        entity=f"{name[:-1]}Entity" if len(name) < len(LONG_SET) else f"{name[:-1]}y",
        data_entity=f"Data{name}"[: len(LONG_SET)],
        category="Reference",
        label=name,
        properties=parsed,
        key=key,
        navigations=navigations,
    )


_CASES = (
    Property("Code", AxType.STRING),
    Property("code", AxType.STRING, nullable=True, stored_as="code_lower"),
    Property("CODE", AxType.STRING, nullable=True, stored_as="code_upper"),
)
_NUMBERS = (
    Property("Id", AxType.INT64),
    Property("Large", AxType.INT64),
    Property("Money", AxType.REAL),
    Property("Precise", AxType.REAL, scale=16),
)
_TO_PARENT = Navigation("Parent", "OddParents", many=False, on=(("ParentId", "ParentId"),))
_TO_CHILDREN = Navigation("Children", "OddChildren", many=True, on=(("ParentId", "ParentId"),))

_SETS = (
    _set("OddInt64Keys", "RecordId Int64 key; Name"),
    _set("OddInt32Keys", "Number Int32 key; Name"),
    _set("OddDecimalKeys", "LineNumber Real key; Name"),
    _set("OddDateKeys", "ValidFrom Date key; Name"),
    _set("OddInstantKeys", "CreatedOn UtcDateTime key; Name"),
    _set("OddEnumKeys", "Direction OddDirection key; Name"),
    _set("OddGuidKeys", "Party Guid key; Name"),
    _set("OddBooleanKeys", "IsOpen Boolean key; Name"),
    _set("OddStringKeys", "Code key; Name"),
    _set("OddWideKeys", _WIDE_KEY),
    _set("OddKeylessRows", "Name; Amount Real"),
    _set(LONG_SET, f"{LONG_KEY} key; {LONG_PROPERTY}"),
    _set("Order", f"Id Int64 key; {'; '.join(RESERVED)}"),
    _set("OddCaseNames", _CASES, key=("Code",)),
    _set("OddBinaries", "Id Int64 key; Image Container"),
    _set("OddNumbers", _NUMBERS, key=("Id",)),
    _set("OddTexts", "Id Int64 key; Text"),
    _set("OddParents", "ParentId key; Name", navigations=(_TO_CHILDREN,)),
    _set("OddChildren", "ChildId key; ParentId; Name", navigations=(_TO_PARENT,)),
    _set("OddCompanyGroups", "dataAreaId key; GroupId key; Name"),
    _set("OddSharedGroups", "GroupId key; Name"),
    COMPANIES,
)
_UNSERVED = replace(_set("OddUnservedRows", "Id Int64 key; Name"), category="Parameters")


def odd() -> Environment:
    """Describe the environment; ``odd_rows.fill`` puts the rows into its tables."""
    return Environment(
        entity_sets={entity_set.name: entity_set for entity_set in _SETS},
        enums={"OddDirection": parse_enum("OddDirection", "None In=5 Out=-1 Both=2147483647")},
        unserved=(_UNSERVED,),
    )
