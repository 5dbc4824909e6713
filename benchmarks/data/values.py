"""A value for any property of an entity: made up, the same at every run."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contoso_sandbox.model import EntitySet, EnumType, Property

_WORDS = (
    *("payment", "invoice", "Contoso", "Überweisung", "freight", "rent", "110180-001", "Q3"),
    *("accrual", "licence", "travel", "USMF-000482", "steel", "consulting", "energy", "refund"),
)
_BEGIN = datetime(2021, 1, 1, tzinfo=UTC)
_DAYS = 5 * 365
#: Of a wide entity's strings most are empty, as in a real environment.
_EMPTY_SHARE = 0.5
_LONGEST_WORDS = 3


def rows_of(
    entity_set: EntitySet, enums: Mapping[str, EnumType], rows: int, *, seed: int = 7
) -> list[dict[str, object]]:
    """So many rows of an entity set, as values for a JSON encoder that writes Decimal as number."""
    chance = random.Random(f"{entity_set.name} {seed}")  # noqa: S311 - made-up data
    return [
        {prop.name: _value(prop, enums, chance) for prop in entity_set.properties}
        for _ in range(rows)
    ]


def _value(prop: Property, enums: Mapping[str, EnumType], chance: random.Random) -> object:
    if prop.ax_type is AxType.ENUM:
        return chance.choice(enums[prop.enum or ""].members)[0]
    return _MADE.get(prop.ax_type, _text)(chance)


def _amount(chance: random.Random) -> Decimal:
    return Decimal(chance.randrange(-100_000_000, 100_000_000)).scaleb(-2)


def _date(chance: random.Random) -> str:
    """An AX ``Date`` travels as noon."""
    return f"{_BEGIN + timedelta(days=chance.randrange(_DAYS)):%Y-%m-%d}T12:00:00Z"


def _instant(chance: random.Random) -> str:
    return f"{_BEGIN + timedelta(seconds=chance.randrange(_DAYS * 86_400)):%Y-%m-%dT%H:%M:%SZ}"


def _text(chance: random.Random) -> str:
    if chance.random() < _EMPTY_SHARE:
        return ""
    return " ".join(chance.choices(_WORDS, k=chance.randint(1, _LONGEST_WORDS)))


_MADE: dict[AxType, Callable[[random.Random], object]] = {
    AxType.INT32: lambda chance: chance.randrange(10_000),
    AxType.INT64: lambda chance: 5_637_144_576 + chance.randrange(10_000_000),
    AxType.REAL: _amount,
    AxType.DATE: _date,
    AxType.UTC_DATE_TIME: _instant,
    AxType.BOOLEAN: lambda chance: bool(chance.getrandbits(1)),
    AxType.GUID: lambda _chance: "00000000-0000-0000-0000-000000000000",
}
