"""What differs between OData v4 servers, and between builds of F&O, as switches.

Traits seen at other servers are taken from their answers (odatapy 5.3, Microsoft's OData Web API:
percent-encoded links, ``$skiptoken``, a last page with nothing in it); F&O's own are the defaults.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_ASKED = re.compile(r"ieee754compatible\s*=\s*true", re.IGNORECASE)


class NumbersAsStrings(StrEnum):
    """When ``Edm.Int64`` and ``Edm.Decimal`` travel as JSON strings (``IEEE754Compatible``)."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Traits:
    """How a server behaves; the defaults are F&O's ways.

    Attributes:
        relative_links: nextLinks are relative to the service root.
        encoded_links: nextLinks spell their options ``%24skip``.
        skip_tokens: nextLinks carry an opaque ``$skiptoken`` in place of ``$skip`` and ``$top``.
        empty_last_page: A full last page still has a nextLink, to a page without rows.
        repeated_edge_row: Each page begins with the last row of the page before.
        numbers_as_strings: When 64-bit integers and decimals are strings.
        facets: ``$metadata`` has MaxLength, Precision and Scale.
        max_query_chars: Longer query strings are refused as IIS refuses them (its default is
            2,048); no limit if absent.
        metadata_service: Whether ``/metadata`` is there at all.
    """

    relative_links: bool = False
    encoded_links: bool = False
    skip_tokens: bool = False
    empty_last_page: bool = False
    repeated_edge_row: bool = False
    numbers_as_strings: NumbersAsStrings = NumbersAsStrings.NEVER
    facets: bool = False
    max_query_chars: int | None = None
    metadata_service: bool = True

    def strings_for(self, accept: str) -> bool:
        """Tell whether the numbers of an answer to ``accept`` are strings."""
        asked = _ASKED.search(accept) is not None
        return self.numbers_as_strings is NumbersAsStrings.ALWAYS or (
            asked and self.numbers_as_strings is NumbersAsStrings.ASKED
        )

    def link(self, root: str, entity_set: str, query: str) -> str:
        """Write a nextLink under ``root``, the URL of ``/data/``."""
        spelled = query.replace("$", "%24") if self.encoded_links else query
        return f"{'' if self.relative_links else root}{entity_set}?{spelled}"

    def advance(self, page_size: int) -> int:
        """Tell how far the next page starts from this one."""
        return max(1, page_size - 1) if self.repeated_edge_row else page_size


#: No trait but F&O's own.
FINANCE_AND_OPERATIONS = Traits()
