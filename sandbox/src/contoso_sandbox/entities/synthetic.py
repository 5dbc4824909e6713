"""A made-up environment of the size of a real one: thousands of sets, wide and oddly named.

For readers of metadata; the sets hold no rows. Proportions of the types are those of 7,100
properties of a real 10.0.47 environment: half strings, a quarter enums, then dates, decimals and
32-bit integers. Equal arguments give equal environments.
"""

from __future__ import annotations

from random import Random

from contoso_sandbox.model import AxType, EntitySet, EnumType, Environment, Property

#: F&O's limit for the name of an object of the application (AOT).
LONGEST_NAME = 75

_TEXT = (
    "Account Accrual Address Agreement Allocation Asset Balance Bank Batch Budget Calendar Case "
    "Catalog Category Charge Commission Company Condition Contact Contract Cost Country Credit "
    "Currency Customer Date Default Delivery Department Dimension Discount Document Employee "
    "Exchange Expense Fiscal Forecast Formula Freight Group Header Holding Identification Invoice "
    "Item Journal Ledger Line Location Main Margin Measure Method Offset Operation Order Origin "
    "Party Payment Period Person Policy Posting Price Procurement Product Profile Project Purchase "
    "Quantity Quotation Rate Reason Receipt Reference Register Released Requisition Return Route "
    "Sales Schedule Segment Service Settlement Site Statement Status Storage Tax Template Term "
    "Tracking Transaction Transfer Translation Unit Validation Value Variant Vendor Warehouse"
)
_WORDS = _TEXT.split()
_CATEGORIES = ("Master", "Transaction", "Configuration", "Reference", "Document", "Parameters")

#: Type and how many of a thousand properties have it.
_SPREAD = (
    (AxType.STRING, 505),
    (AxType.ENUM, 238),
    (AxType.DATE, 72),
    (AxType.UTC_DATE_TIME, 54),
    (AxType.REAL, 79),
    (AxType.INT32, 36),
    (AxType.INT64, 11),
    (AxType.GUID, 2),
    (AxType.BOOLEAN, 2),
    (AxType.CONTAINER, 1),
)
_KEY_TYPES = (AxType.STRING, AxType.STRING, AxType.STRING, AxType.INT64, AxType.DATE, AxType.REAL)

#: Sets share their properties, so that an environment costs memory by its names alone.
_DISTINCT_PROPERTIES = 4_000
_DISTINCT_KEYS = 400
_ENUMS = 600
_LABELS = 2_000
_MOST_MEMBERS = 12
_UNSERVED_SHARE = 10
_PER_COMPANY_PERCENT = 60

_COMPANY = Property("dataAreaId", AxType.STRING, label="Company", label_id="@SYS13342")


def synthetic(entity_sets: int = 4_000, *, properties: int = 80, seed: int = 7) -> Environment:
    """Draw an environment.

    Args:
        entity_sets: How many sets it publishes.
        properties: How many properties a set has on average; the narrowest has a quarter of them,
            the widest about twice as many.
        seed: What it is drawn from.
    """
    draw = Random(seed)  # noqa: S311 - made-up names, no secrets
    enums = [_enum(draw, number) for number in range(_ENUMS)]
    pool = [_property(draw, number, enums) for number in range(_DISTINCT_PROPERTIES)]
    keys = [_key_part(draw, number) for number in range(_DISTINCT_KEYS)]
    sets = [_set(draw, number, properties, pool, keys) for number in range(entity_sets)]
    unserved = [
        _set(draw, entity_sets + number, properties, pool, keys)
        for number in range(entity_sets // _UNSERVED_SHARE)
    ]
    return Environment(
        entity_sets={entity_set.name: entity_set for entity_set in sets},
        enums={enum.name: enum for enum in enums},
        unserved=tuple(unserved),
    )


def _name(draw: Random, number: int, most: int = LONGEST_NAME) -> str:
    """Join words; the number makes it unique. One name in fifty is as long as names can be."""
    words = draw.choices(_WORDS, k=draw.randint(2, 5))
    while number % 50 == 0 and len("".join(words)) < most:
        words.append(draw.choice(_WORDS))
    return "".join(words)[: most - len(str(number))] + str(number)


def _enum(draw: Random, number: int) -> EnumType:
    members = draw.sample(_WORDS, k=draw.randint(2, _MOST_MEMBERS))
    name = _name(draw, number, LONGEST_NAME - 4) + "Enum"
    return EnumType(name, tuple((member, at) for at, member in enumerate(members)))


def _property(draw: Random, number: int, enums: list[EnumType]) -> Property:
    types, weights = zip(*_SPREAD, strict=True)
    ax_type: AxType = draw.choices(types, weights)[0]
    nullable = ax_type in {AxType.STRING, AxType.ENUM, AxType.CONTAINER}
    return Property(
        _name(draw, number),
        ax_type,
        enum=draw.choice(enums).name if ax_type is AxType.ENUM else None,
        nullable=nullable,
        label=_label(number),
        label_id=f"@SYN{number % _LABELS}",
    )


def _label(number: int) -> str:
    """Text behind ``@SYN``: a label that several properties share says the same of each."""
    shared = number % _LABELS
    return f"{_WORDS[shared % len(_WORDS)]} {shared // len(_WORDS)}"


def _key_part(draw: Random, number: int) -> Property:
    return Property(
        f"{_name(draw, number, LONGEST_NAME - 3)}Key",
        draw.choice(_KEY_TYPES),
        label=f"Key {number}",
        label_id=f"@KEY{number}",
    )


def _set(
    draw: Random, number: int, width: int, pool: list[Property], keys: list[Property]
) -> EntitySet:
    name = _name(draw, number, LONGEST_NAME - 3)
    key = tuple(draw.sample(keys, k=draw.choice((1, 1, 2, 2, 3, 4))))
    if draw.randrange(100) < _PER_COMPANY_PERCENT:
        key = (_COMPANY, *key)
    wanted = draw.triangular(width / 4, width * 2, width * 0.75)
    others = draw.sample(pool, k=max(1, min(len(pool), round(wanted) - len(key))))
    return EntitySet(
        name=f"{name}Set",
        entity=name,
        data_entity=f"Syn{number}{name[: LONGEST_NAME - 20]}Entity",
        category=draw.choice(_CATEGORIES),
        label=f"Made-up set {number}",
        label_id=f"@SET{number}",
        properties=(*key, *others),
        key=tuple(part.name for part in key),
        read_only=number % 7 == 0,
    )
