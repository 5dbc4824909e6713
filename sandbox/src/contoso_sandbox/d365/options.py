"""Query options of a read, parsed and checked against the entity set."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from contoso_sandbox.d365.errors import reject, unknown_property
from contoso_sandbox.d365.filters.parser import parse_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from contoso_sandbox.d365.filters.nodes import Node
    from contoso_sandbox.d365.traits import Traits
    from contoso_sandbox.model import EntitySet, Navigation

_KNOWN = {"$filter", "$select", "$orderby", "$top", "$skip", "$count", "$expand", "$format"}
#: Marks the continuation of a client's own ``$top`` where nothing else would: see ``Options.next``.
LIMITED_WALK = "limited-walk"
#: Options that a nextLink replaces.
_POSITION = {"$skip", "$top", "$skiptoken", LIMITED_WALK}
_TOKEN = re.compile(rb"(\d+)/(\d*)")
_EXPAND_ITEM = re.compile(r"\s*(\w+)\s*(?:\((.*)\))?\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Order:
    """One part of ``$orderby``."""

    name: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Expansion:
    """One navigation to follow and the properties wanted there (all, if empty)."""

    navigation: Navigation
    select: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What a read asks for.

    Attributes:
        raw: The options as given, in order; a nextLink repeats them.
        select: Names in the order asked for; empty means every property.
        top: The client's ``$top``.
        continues: Whether the request is a page of an unlimited walk, though it carries ``$top``.
    """

    raw: tuple[tuple[str, str], ...]
    filter: Node | None
    select: tuple[str, ...]
    order: tuple[Order, ...]
    expand: tuple[Expansion, ...]
    top: int | None
    skip: int
    count: bool
    cross_company: bool
    continues: bool

    @property
    def limit(self) -> int | None:
        """Return how many rows the client still wants in all; ``None`` for the rest."""
        return None if self.continues else self.top

    def next_query(self, page_size: int, traits: Traits) -> str:
        """Write the query of the next page: the same options, then ``$skip`` and ``$top``.

        F&O's links carry ``$skip=10000&$top=10000`` (support.cleo.com, article 360052403334), so
        the link's own ``$top`` looks like a client's. A ``$top`` equal to the page size behind a
        ``$skip`` therefore means "go on"; the one walk for which that would be wrong, a client's
        ``$top`` with exactly one page left to send, carries a marker.
        """
        advance = traits.advance(page_size)
        skip, left = self.skip + advance, self.limit
        kept = [(key, value) for key, value in self.raw if key not in _POSITION]
        if traits.skip_tokens:
            token = _token(skip, None if left is None else left - advance)
            kept.append(("$skiptoken", token))
            return "&".join(f"{_escape(key)}={_escape(value)}" for key, value in kept)
        top = page_size if left is None else left - advance
        kept += [("$skip", str(skip)), ("$top", str(top))]
        if top == page_size and not self.continues and self.top is not None:
            kept.append((LIMITED_WALK, "true"))
        return "&".join(f"{_escape(key)}={_escape(value)}" for key, value in kept)


def parse_options(
    query: str,
    entity_set: EntitySet,
    sets: Mapping[str, EntitySet],
    *,
    page_size: int,
    skip_tokens: bool = False,
) -> Options:
    """Read the query string of a request for ``entity_set``.

    Raises:
        RefusedError: 400 for an unknown option, an unknown name or a value that does not parse.
    """
    raw = tuple(parse_qsl(query, keep_blank_values=True))
    given = dict(raw)
    for key in given:
        known = key in _KNOWN or (skip_tokens and key == "$skiptoken")
        if key.startswith("$") and not known:
            reject(f"The query parameter '{key}' is not supported.")
    top, skip = _whole(given, "$top"), _whole(given, "$skip") or 0
    continues = top == page_size and skip > 0 and LIMITED_WALK not in given and not skip_tokens
    if "$skiptoken" in given:
        skip, top = _position(given["$skiptoken"])
        continues = False
    return Options(
        raw=raw,
        filter=parse_filter(given["$filter"]) if "$filter" in given else None,
        select=parse_select(given.get("$select", ""), entity_set),
        order=_order(given.get("$orderby", ""), entity_set),
        expand=_expand(given.get("$expand", ""), entity_set, sets),
        top=top,
        skip=skip,
        count=_flag(given, "$count"),
        cross_company=given.get("cross-company", "").lower() == "true",
        continues=continues,
    )


def parse_select(text: str, entity_set: EntitySet) -> tuple[str, ...]:
    """Read a ``$select`` list; empty for all. Navigations may be named, they select no column."""
    names = tuple(name.strip() for name in text.split(",")) if text.strip() else ()
    published = {p.name for p in entity_set.properties}
    navigations = {n.name for n in entity_set.navigations}
    for name in names:
        if name != "*" and name not in published | navigations:
            raise unknown_property(name, entity_set.entity)
    if "*" in names:
        return ()
    return tuple(dict.fromkeys(name for name in names if name in published))


def _order(text: str, entity_set: EntitySet) -> tuple[Order, ...]:
    if not text.strip():
        return ()
    published = {p.name for p in entity_set.properties}
    orders = []
    for part in text.split(","):
        match part.split():
            case [name]:
                order = Order(name)
            case [name, "asc" | "desc" as direction]:
                order = Order(name, direction == "desc")
            case _:
                reject(f"Syntax error in the $orderby expression '{text}'.")
        if order.name not in published:
            raise unknown_property(order.name, entity_set.entity)
        orders.append(order)
    return tuple(orders)


def _expand(
    text: str, entity_set: EntitySet, sets: Mapping[str, EntitySet]
) -> tuple[Expansion, ...]:
    if not text.strip():
        return ()
    navigations = {n.name: n for n in entity_set.navigations}
    expansions = []
    for part in _split_outside_parentheses(text, ","):
        match = _EXPAND_ITEM.fullmatch(part)
        if match is None:
            reject(f"Syntax error in the $expand expression '{text}'.")
        navigation = navigations.get(match[1])
        if navigation is None:
            raise unknown_property(match[1], entity_set.entity)
        # Only $select works inside $expand; F&O ignores the rest without a word
        # (MicrosoftDocs/dynamics-365-unified-operations-public issue 1577).
        select = ""
        for option in _split_outside_parentheses(match[2] or "", ";"):
            name, _, value = option.strip().partition("=")
            select = value if name == "$select" else select
        related = sets[navigation.related_set]
        expansions.append(Expansion(navigation, parse_select(select, related)))
    return tuple(expansions)


def _split_outside_parentheses(text: str, separator: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def _whole(given: Mapping[str, str], key: str) -> int | None:
    value = given.get(key)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal()):
        reject(f"Invalid value '{value}' for {key} query option found.")
    return int(value)


def _token(skip: int, left: int | None) -> str:
    """Write where a walk stands and how many rows the client still wants."""
    text = f"{skip}/{'' if left is None else left}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def _position(token: str) -> tuple[int, int | None]:
    try:
        match = _TOKEN.fullmatch(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, UnicodeEncodeError):
        match = None
    if match is None:
        reject(f"Invalid value '{token}' for $skiptoken query option found.")
    return int(match[1]), int(match[2]) if match[2] else None


def _flag(given: Mapping[str, str], key: str) -> bool:
    value = given.get(key, "false")
    if value not in {"true", "false"}:
        reject(f"Invalid value '{value}' for {key} query option found.")
    return value == "true"


def _escape(text: str) -> str:
    # `$` of an option's name stays readable, as in the links that F&O writes.
    return quote(text, safe="-._~$")
