"""Pages decoded straight into rows with a slot for each property: the usual way of a row.

The parser checks the types that were announced while it reads, which costs half of making
dictionaries, and a row of many columns takes less than half of the memory. Whatever is not as
announced is left to the other way (:class:`~tap_d365fo.reading.rows.RowDecoder` on dictionaries):
it knows what may come in another form, and says what is wrong. So this one never raises, it
declines.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping  # noqa: TC003 - msgspec looks at it
from decimal import Decimal
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tap_d365fo.access.body import Body
    from tap_d365fo.metadata.model import Entity, Property

#: Annotation with which F&O sends a fingerprint of every row, whatever is selected.
ETAG = "@odata.etag"

_COUNT = "@odata.count"
_LINK = "@odata.nextLink"

#: Where the rows of a page begin. Before them stand annotations alone.
_FIRST_ROW = re.compile(rb'"value"\s*:\s*\[\s*(?=\{)')

#: What is looked at together.
_PIECE_BYTES = 256 * 1024

#: Characters of a page in which its first row ends, or it is read the other way.
_LONGEST_ROW = 1024 * 1024

#: The enum of most flags. Its members are told, so that all rows share the two texts; a third
#: member, should there ever be one, makes a page be read the other way.
_NO_YES = ".NoYes"
_YES_OR_NO = Literal["No", "Yes"]

#: Rows that fit into the processor's cache.
_NEAR = 250

#: What the parser takes for an Edm type; one that is not listed is not checked.
_JSON_TYPES: dict[str, type] = {
    **dict.fromkeys(("Edm.String", "Edm.Guid", "Edm.DateTimeOffset", "Edm.Binary"), str),
    **dict.fromkeys(("Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Byte"), int),
    "Edm.Boolean": bool,
}

#: Not left to the parser: told to expect a ``Decimal``, it would take any text for one. ``NaN`` and
#: ``INF`` of a floating number travel as text.
_NUMBERS: dict[str, frozenset[type]] = {
    "Edm.Decimal": frozenset({int, Decimal}),
    **dict.fromkeys(("Edm.Double", "Edm.Single"), frozenset({int, Decimal, str})),
}


class Row(Protocol):
    """A row as received, either way: a dictionary, or a :class:`TypedRow`."""

    def get(self, name: str, /) -> Any:  # noqa: ANN401 - a JSON value
        """The value of a property; None where the row has none."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - a JSON value
        """The value of a property; KeyError where the row has none."""


class TypedRow(msgspec.Struct, gc=False):
    """A row as received; for those who look at single properties it is like a dictionary.

    Slots have names of their own, because a property may be called like anything.

    Attributes:
        slots: The slot of each property.
    """

    slots: ClassVar[Mapping[str, str]] = {}

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - a JSON value
        """As of a dictionary."""
        slot = self.slots.get(name)
        value = default if slot is None else getattr(self, slot)
        return default if value is msgspec.UNSET else value

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a JSON value
        """As of a dictionary."""
        value = self.get(name, msgspec.UNSET)
        if value is msgspec.UNSET:
            raise KeyError(name)
        return value

    def values(self) -> tuple[Any, ...]:
        """The values of the properties, in published order."""
        values = msgspec.structs.astuple(self)
        return values[:-1] if ETAG in self.slots else values


def column(rows: Sequence[Row], name: str) -> list[Any]:
    """The values of one property; None where a row has none. ``rows`` were read the same way."""
    if rows and isinstance(first := rows[0], TypedRow):
        slot = first.slots.get(name)
        if slot is None:
            return [None] * len(rows)
        values = list(map(attrgetter(slot), rows))
        return values if name != ETAG else [row.get(name) for row in rows]
    return [row.get(name) for row in rows]


class RowReader:
    """Reads pages of one entity; threads may share it."""

    def __init__(
        self, entity: Entity, selected: frozenset[str], *, whole: bool, etags: bool
    ) -> None:
        """Make the type of the rows.

        Args:
            entity: What was announced.
            selected: Properties to read; the key among them.
            whole: The server is asked for all its properties: a new one is somebody's news.
            etags: Whether somebody looks at :data:`ETAG`.
        """
        self._properties = [p for p in entity.properties if p.name in selected]
        self._numbers = [p for p in self._properties if p.edm_type in _NUMBERS]
        self._expected = {p.name for p in self._properties}
        #: None where no name is news.
        self._known = {p.name for p in entity.properties} if whole else None
        if self._known is not None:
            self._known.update(n.name for n in entity.navigations)
        #: Columns that came and were not announced.
        self.news: set[str] = set()
        self._etags = etags

    @cached_property
    def _decode(self) -> Callable[[Body], _Page]:
        """Made when the first page is there: most entities of most runs bring none."""
        return _decoder(self._properties, etags=self._etags)

    def read(self, body: Body) -> dict[str, Any] | None:
        """The document in ``body`` with typed rows; None where it must be read the other way.

        That is so for a page without rows, for one that is no page, and for numbers that come as
        text.
        """
        first = _first_row(body)
        if first is None or not self._expected <= first.keys():
            return None
        if self._known is not None:
            self.news.update(n for n in first if n not in self._known and "@" not in n)
        try:
            page = self._decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError):
            return None
        # The parser passes over what nobody has selected, whatever bytes it is of.
        if not _is_utf8(body) or not self._are_numbers(page.value):
            return None
        return {"value": page.value, _COUNT: page.count, _LINK: page.link}

    def _are_numbers(self, rows: Sequence[Row]) -> bool:
        """Whether numbers are numbers; rows that lie together in memory are looked at together."""
        types: list[set[type]] = [set() for _ in self._numbers]
        for at in range(0, len(rows), _NEAR):
            near = rows[at : at + _NEAR]
            for number, found in zip(self._numbers, types, strict=True):
                found.update(map(type, column(near, number.name)))
        for number, found in zip(self._numbers, types, strict=True):
            odd = found - _NUMBERS[number.edm_type]
            if odd and (odd != {type(None)} or number.is_key):
                return False
        return True


def _is_utf8(body: Body) -> bool:
    """Whether all of ``body`` is UTF-8; without a copy of it, which may have 90 MB."""
    if body.isascii():
        return True
    decode, view = codecs.getincrementaldecoder("utf-8")().decode, memoryview(body)
    try:
        for at in range(0, len(view), _PIECE_BYTES):
            decode(view[at : at + _PIECE_BYTES])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _first_row(body: Body) -> dict[str, Any] | None:
    begin = _FIRST_ROW.search(body, 0, _LONGEST_ROW)
    if begin is None:
        return None
    text = body[begin.end() : begin.end() + _LONGEST_ROW].decode(errors="ignore")
    try:
        row, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


class _Page(msgspec.Struct, gc=False):
    value: list[Any]
    count: Any = msgspec.field(default=None, name=_COUNT)
    link: Any = msgspec.field(default=None, name=_LINK)


def _decoder(properties: Sequence[Property], *, etags: bool) -> Callable[[Body], _Page]:
    slots = {p.name: f"p{place}" for place, p in enumerate(properties)}
    fields: list[Any] = [
        (slots[p.name], _json_type(p), msgspec.field(name=p.name)) for p in properties
    ]
    if etags:  # behind the properties, and left out of what is encoded once it is unset
        slots[ETAG] = "etag"
        kind = str | msgspec.UnsetType
        fields.append(("etag", kind, msgspec.field(default=msgspec.UNSET, name=ETAG)))
    row = msgspec.defstruct("Row", fields, bases=(TypedRow,), namespace={"slots": slots}, gc=False)
    page = msgspec.defstruct("Page", [("value", list[row])], bases=(_Page,), gc=False)  # type: ignore[valid-type]
    decode = msgspec.json.Decoder(page, float_hook=Decimal).decode
    return cast("Callable[[Body], _Page]", decode)


def _json_type(prop: Property) -> Any:  # noqa: ANN401 - what msgspec takes for a type
    kind: Any = _JSON_TYPES.get(prop.edm_type)
    if not prop.edm_type.startswith("Edm."):
        kind = _YES_OR_NO if prop.edm_type.endswith(_NO_YES) else str
    if kind is None:
        return Any
    return kind if prop.is_key else kind | None
