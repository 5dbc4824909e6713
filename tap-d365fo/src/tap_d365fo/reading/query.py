"""Build the addresses that the tap asks for.

Only what F&O supports is used (data-entities/odata.md): no ``in``, no ``has``, enums not at all,
bare instants and integers, single-quoted strings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import quote

#: A longer query is refused by some front ends (IIS counts 2,048 characters by default, and
#: environments differ). Then ``$select`` is left out: all columns travel, and the unselected ones
#: are dropped here.
LONGEST_QUERY = 2000

#: Room that ``$select`` leaves to conditions.
_LONGEST_SELECT = 1200

#: What may stand unescaped in a query option's value.
PLAIN = "$'(),:*/="


@dataclass(frozen=True, slots=True)
class Query:
    """One request for rows of an entity set, as values.

    Attributes:
        conditions: Terms of ``$filter``, joined by ``and``.
        order: Terms of ``$orderby``.
        select: Properties; empty means all.
        expand: Terms of ``$expand``, such as ``VendorGroup`` or ``VendorGroup($select=Name)``.
        count: Ask for the number of rows that match (``@odata.count``, not limited by ``top``).
        top: At most so many rows, and then no nextLink.
    """

    entity_set: str
    conditions: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    count: bool = False
    top: int | None = None

    def where(self, *conditions: str) -> Query:
        """The same request with further conditions."""
        return replace(self, conditions=(*self.conditions, *conditions))

    def url(self, environment_url: str) -> str:
        """The address."""
        return f"{environment_url}/data/{quote(self.entity_set)}?{self.query_string()}"

    def query_string(self) -> str:
        """The options; ``cross-company`` always, or the user's default company alone would come."""
        options = ["cross-company=true"]
        if self.count:
            options.append("$count=true")
        if self.top is not None:
            options.append(f"$top={self.top}")
        if self.conditions:
            terms = self.conditions
            joined = terms[0] if len(terms) == 1 else " and ".join(f"({term})" for term in terms)
            options.append(f"$filter={quote(joined, safe=PLAIN)}")
        if self.order:
            options.append(f"$orderby={quote(','.join(self.order), safe=PLAIN)}")
        if self.expand:
            options.append(f"$expand={quote(','.join(self.expand), safe=PLAIN)}")
        columns = ",".join(self.select)
        whole = "&".join(options)
        selection = f"&$select={quote(columns, safe=PLAIN)}"
        fits = len(columns) <= _LONGEST_SELECT and len(whole) + len(selection) <= LONGEST_QUERY
        return whole + selection if columns and fits else whole


def is_short_enough(query: Query, condition: str) -> bool:
    """Whether ``query`` under a further ``condition`` fits into an address."""
    return len(query.where(condition).query_string()) <= LONGEST_QUERY


def text_literal(value: str) -> str:
    """``value`` as an OData string."""
    return "'" + value.replace("'", "''") + "'"


def instant_literal(value: datetime) -> str:
    """``value`` as an OData instant, to the second: the granularity that F&O stores."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
