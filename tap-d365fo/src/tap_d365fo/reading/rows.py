"""From a row as received to the record that is emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from tap_d365fo.metadata.model import COMPANY_PROPERTY
from tap_d365fo.metadata.values import Decoder, decoder, numbers_are_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tap_d365fo.metadata.model import Entity, Navigation, Property

#: Annotation with which F&O sends a fingerprint of every row, whatever is selected.
ETAG = "@odata.etag"


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
        self._entity_set = entity.entity_set
        self._properties = [p for p in entity.properties if p.name in selected]
        self._order = [p.name for p in self._properties]
        self._plain = _conversions(self._properties, null_sentinels=null_sentinels)
        self._textual = _conversions(
            self._properties, null_sentinels=null_sentinels, text_numbers=True
        )
        self._nested = [
            (n.name, _Nested(n, null_sentinels=null_sentinels))
            for n in entity.navigations
            if n.name in expand
        ]

    def records(self, rows: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The records for ``rows``, which came together.

        Raises:
            DataError: a selected property is missing: the entity has changed since discovery.
        """
        textual = numbers_are_text(self._properties, rows)
        conversions = self._textual if textual else self._plain
        for row in rows:
            yield self._record(row, conversions)

    def _record(
        self, row: dict[str, Any], conversions: list[tuple[str, Decoder]]
    ) -> dict[str, Any]:
        try:
            record = {name: row[name] for name in self._order}
            for name, convert in conversions:
                record[name] = convert(record[name])
            for name, nested in self._nested:
                record[name] = nested.decode(row.get(name))
        except KeyError as missing:
            message = (
                f"{self._entity_set} no longer sends {missing}; it has changed in the environment, "
                "run discovery again"
            )
            raise DataError(message) from missing
        except DataError as error:
            message = f"{self._entity_set}: {error}"
            raise DataError(message) from error
        return record

    def key(self, row: dict[str, Any]) -> dict[str, Any]:
        """The key properties of ``row``, as a record has them."""
        converted = dict(self._textual)
        return {
            name: convert(value) if (convert := converted.get(name)) else value
            for name, value in row.items()
        }


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


def identify(key: tuple[str, ...]) -> Callable[[dict[str, Any]], object]:
    """How a received row is recognised when it comes a second time.

    String parts are compared as F&O's database compares them: case does not count.
    """

    def identity(row: dict[str, Any]) -> object:
        return tuple(
            value.lower() if isinstance(value := row.get(name), str) else value for name in key
        )

    return identity
