"""From a row as received to the record that is emitted."""

from __future__ import annotations

from decimal import Decimal
from operator import itemgetter
from typing import TYPE_CHECKING, Any, cast

import msgspec

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.metadata.values import Decoder, decoder, numbers_are_text
from tap_d365fo.reading.typed_rows import ETAG, RowReader, TypedRow, column

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

    from tap_d365fo.metadata.model import Entity, Navigation, Property
    from tap_d365fo.reading.typed_rows import Row


#: How the values of an Edm type are parsed; a type that is not listed is not checked.
_PARSED: dict[str, frozenset[type]] = {
    **dict.fromkeys(("Edm.String", "Edm.Guid", "Edm.DateTimeOffset"), frozenset({str})),
    **dict.fromkeys(("Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Byte"), frozenset({int})),
    "Edm.Binary": frozenset({str}),
    "Edm.Boolean": frozenset({bool}),
    "Edm.Decimal": frozenset({int, Decimal}),
}

#: What a server may write as JSON strings, for a page as a whole (``IEEE754Compatible``).
_LONG_NUMBERS = frozenset({"Edm.Int64", "Edm.Decimal"})

#: Combinations of types that are remembered as right. Real rows have a handful of them.
_MOST_SHAPES = 4096

#: Values of one property whose conversion is remembered: days and companies come again and again.
_MOST_CONVERTED = 10_000


class RowDecoder:
    """Turns rows of one entity into records: the selected properties, in published order."""

    def __init__(
        self,
        entity: Entity,
        selected: frozenset[str],
        *,
        null_sentinels: bool,
        expand: tuple[str, ...] = (),
    ) -> None:
        """Prepare the conversions once for all rows; ``expand`` names the navigations to take."""
        self._entity = entity
        self._entity_set = entity.entity_set
        self._properties = [p for p in entity.properties if p.name in selected]
        self._order = [p.name for p in self._properties]
        self._values_of = _picker(self._order)
        self._formats = {
            textual: _Format(self._properties, null_sentinels=null_sentinels, textual=textual)
            for textual in (False, True)
        }
        repeating = {p.name for p in self._properties if _repeats(p)}
        self._nested = [
            (n.name, _Nested(n, null_sentinels=null_sentinels))
            for n in entity.navigations
            if n.name in expand
        ]

        self._converted = [
            (name, _Remembering(convert).__getitem__ if name in repeating else convert)
            for name, convert in self._formats[False].conversions
        ]

    def reader(self, *, whole: bool, etags: bool) -> RowReader | None:
        """What reads pages of the entity faster; None where it could not show all of a row.

        Args:
            whole: The server is asked for all properties.
            etags: Whether somebody looks at the etags of the rows.
        """
        if self._nested or not self._order:
            return None
        return RowReader(self._entity, frozenset(self._order), whole=whole, etags=etags)

    def sendable(self, rows: Sequence[Row]) -> Sequence[Row]:
        """What :meth:`records` gives, in whatever form is written the fastest.

        Typed rows become their own records: whoever looks at them later sees those.

        Raises:
            DataError: as :meth:`records`.
        """
        if not are_typed(rows):
            return list(self.records(rows))
        first = cast("TypedRow", rows[0])
        try:
            converted = [
                (first.slots[name], list(map(convert, column(rows, name))))
                for name, convert in self._converted
            ]
        except DataError:
            for _ in self.records(rows):  # tells of the first row that is wrong, not of a column
                pass
            raise
        for slot, values in converted:
            for row, value in zip(rows, values, strict=True):
                setattr(row, slot, value)
        if (etag := first.slots.get(ETAG)) is not None:
            for row in rows:
                setattr(row, etag, msgspec.UNSET)
        return rows

    def records(self, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
        """The records for ``rows``, which came with one page, or are typed.

        Raises:
            DataError: a selected property is missing or of another type: the entity has changed
                since discovery.
        """
        form = self._formats[numbers_are_text(self._properties, rows)]
        names, values_of, sound = self._order, self._values_of, form.sound_shapes
        for row in rows:
            try:
                values = row.values() if isinstance(row, TypedRow) else values_of(row)
                shape = tuple(map(type, values))
                if shape not in sound:
                    form.check(shape)
                record = dict(zip(names, values, strict=True))
                for name, convert in form.conversions:
                    record[name] = convert(record[name])
                for name, nested in self._nested:
                    record[name] = nested.decode(row.get(name))
            except KeyError as missing:
                message = (
                    f"{self._entity_set} no longer sends {missing}; it has changed in the "
                    "environment, run discovery again"
                )
                raise DataError(message) from missing
            except DataError as error:
                message = f"{self._entity_set}: {error}"
                raise DataError(message) from error
            yield record

    def key(self, row: dict[str, Any]) -> dict[str, Any]:
        """The key properties of ``row``, as a record has them."""
        converted = dict(self._formats[True].conversions)
        return {
            name: convert(value) if (convert := converted.get(name)) else value
            for name, value in row.items()
        }


class _Remembering(dict[Any, Any]):
    """A conversion that looks up what it has converted before."""

    def __init__(self, convert: Decoder) -> None:
        super().__init__()
        self._convert = convert

    def __missing__(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        converted = self._convert(value)
        if len(self) < _MOST_CONVERTED:
            self[value] = converted
        return converted


class _Format:
    """How the values of a page come, and what is done with them.

    Attributes:
        conversions: Properties that do not travel as they come.
        sound_shapes: Combinations of types that have been found right: looking at all types of a
            row at once costs a hundredth of parsing it.
    """

    def __init__(
        self, properties: Sequence[Property], *, null_sentinels: bool, textual: bool
    ) -> None:
        self.conversions = _conversions(
            properties, null_sentinels=null_sentinels, text_numbers=textual
        )
        self.sound_shapes: set[tuple[type, ...]] = set()
        self._announced = [(p, _parsed_types(p, textual=textual)) for p in properties]

    def check(self, shape: tuple[type, ...]) -> None:
        """Refuse a row whose values are not of the types that were announced."""
        for found, (prop, types) in zip(shape, self._announced, strict=True):
            if types and found not in types:
                message = (
                    f"{prop.name} comes as {found.__name__} and was announced as {prop.edm_type}"
                    f"{' of the key' if prop.is_key else ''}; it has changed in the environment, "
                    "run discovery again"
                )
                raise DataError(message)
        if len(self.sound_shapes) < _MOST_SHAPES:
            self.sound_shapes.add(shape)


class _Nested:
    """The rows that a navigation property leads to, with the values that records have."""

    def __init__(self, navigation: Navigation, *, null_sentinels: bool) -> None:
        names = {p.name for p in navigation.properties}
        self._names = names
        self._conversions = _conversions(
            navigation.properties, null_sentinels=null_sentinels, text_numbers=True
        )

    def decode(self, value: Any) -> Any:  # noqa: ANN401 - a JSON value
        if isinstance(value, list):
            return [self._row(row) for row in value]
        return None if value is None else self._row(value)

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        record = {name: value for name, value in row.items() if name in self._names}
        for name, convert in self._conversions:
            if name in record:
                record[name] = convert(record[name])
        return record


def _conversions(
    properties: Iterable[Property], *, null_sentinels: bool, text_numbers: bool = False
) -> list[tuple[str, Decoder]]:
    found: list[tuple[str, Decoder]] = []
    for prop in properties:
        convert = decoder(prop, null_sentinels=null_sentinels, text_numbers=text_numbers)
        if prop.name == COMPANY_PROPERTY:
            convert = str.lower  # F&O sends DAT and dat for one company in one answer
        if convert is not None:
            found.append((prop.name, convert))
    return found


def _repeats(prop: Property) -> bool:
    """Whether a page has few different values of ``prop``, most likely."""
    is_day = prop.edm_type == "Edm.DateTimeOffset" and prop.data_type == "Date"
    return is_day or prop.name == COMPANY_PROPERTY


def _parsed_types(prop: Property, *, textual: bool) -> frozenset[type]:
    """The types that values of ``prop`` may have; empty where nothing is known."""
    is_enum = not prop.edm_type.startswith("Edm.")
    types = frozenset({str}) if is_enum else _PARSED.get(prop.edm_type, frozenset())
    if textual and prop.edm_type in _LONG_NUMBERS:
        types |= {str}
    return types | {type(None)} if types and not prop.is_key else types


def _picker(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    """What takes the values of ``names`` out of a row."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda row: tuple(row[name] for name in names)  # one name alone would give no tuple


def are_typed(rows: Sequence[Row]) -> bool:
    """Whether all of ``rows`` are typed, and in one way."""
    types = set(map(type, rows))
    return len(types) == 1 and issubclass(types.pop(), TypedRow)


def identities(rows: Sequence[Row], key: tuple[str, ...]) -> list[Hashable]:
    """How rows of one page are recognised when they come a second time.

    String parts are compared as F&O's database compares them: case does not count.
    """
    if not key:
        return [()] * len(rows)
    parts = [
        [value.lower() if isinstance(value, str) else value for value in column(rows, name)]
        for name in key
    ]
    return list(zip(*parts, strict=True))
