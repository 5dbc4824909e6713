"""The key of an entity as OData conditions: one row, several rows, everything behind a row."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.reading.query import is_short_enough, text_literal

if TYPE_CHECKING:
    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.reading.query import Query
    from tap_d365fo.reading.typed_rows import Row

#: Types that F&O compares by ``gt`` in the order in which it sorts them. Enums are only equal or
#: not (data-entities/odata.md); the order of a Guid is not said.
_ORDERED = frozenset(
    {"Edm.String", "Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Decimal", "Edm.DateTimeOffset"}
)

_NUMBERS = frozenset({"Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Decimal"})

_BARE = frozenset({"Edm.Guid", "Edm.DateTimeOffset", "Edm.Date"})


def behind(query: Query, form: KeyForm, literals: tuple[str, ...]) -> Query | None:
    """``query`` for the rows that come later in the order of the key.

    None where that cannot be said, or makes an address that is too long.
    """
    condition = form.behind(literals)
    return query.where(condition) if condition and is_short_enough(query, condition) else None


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    edm_type: str


class KeyForm:
    """Writes conditions on the key of one entity, apart from the company, which a partition fixes.

    A key is handled as the tuple of its OData literals: they can be kept in a state without losing
    a digit.
    """

    def __init__(self, entity: Entity) -> None:
        """Look at the key properties once."""
        self._parts = [
            _Part(p.name, p.edm_type)
            for p in entity.properties
            if p.is_key and p.name != COMPANY_PROPERTY
        ]

    @property
    def is_ordered(self) -> bool:
        """Whether "everything behind this row" can be asked for."""
        return bool(self._parts) and all(p.edm_type in _ORDERED for p in self._parts)

    def literals(self, row: Row) -> tuple[str, ...] | None:
        """The key of ``row``; None where a part has no value, or the entity no key of its own."""
        found = [_literal(row.get(part.name), part.edm_type) for part in self._parts]
        known = tuple(literal for literal in found if literal is not None)
        return known if found and len(known) == len(found) else None

    def equals(self, literals: tuple[str, ...]) -> str:
        """The condition that a row has this key.

        A ``*`` in a string is a wildcard to F&O, so further rows may come: compare what comes.
        """
        return " and ".join(
            f"{part.name} eq {literal}" for part, literal in zip(self._parts, literals, strict=True)
        )

    def behind(self, literals: tuple[str, ...]) -> str | None:
        """The condition that a row comes later in the order of the key.

        None where it cannot be said: a ``*`` in any part but the last would match as a wildcard.
        """
        if not self.is_ordered or len(literals) != len(self._parts):
            return None
        if any("*" in literal for literal in literals[:-1]):
            return None
        terms = []
        for position, literal in enumerate(literals):
            same = [
                f"{part.name} eq {value}"
                for part, value in zip(self._parts[:position], literals, strict=False)
            ]
            terms.append(" and ".join([*same, f"{self._parts[position].name} gt {literal}"]))
        return terms[0] if len(terms) == 1 else " or ".join(f"({term})" for term in terms)


def _literal(value: Any, edm_type: str) -> str | None:  # noqa: ANN401 - a JSON value
    """``value`` as it stands in a filter (data-entities/odata.md)."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if edm_type in _NUMBERS:
        try:
            return format(Decimal(value), "f")
        except (ArithmeticError, TypeError, ValueError) as error:
            message = "a number in the key holds something else; run discovery again"
            raise DataError(message) from error
    if edm_type in _BARE:
        return str(value)
    quoted = text_literal(str(value))
    return quoted if edm_type.startswith("Edm.") else f"{edm_type}{quoted}"
