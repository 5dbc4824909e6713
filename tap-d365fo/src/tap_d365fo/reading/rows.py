"""From a row as received to the record that is emitted."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from tap_d365fo.metadata.edm import Decoder, decoder
from tap_d365fo.metadata.model import COMPANY_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.metadata.model import Entity, Property

#: Annotation with which F&O sends a fingerprint of every row, whatever is selected.
ETAG = "@odata.etag"


#: How the values of an Edm type are parsed; a type that is not listed is not checked.
_PARSED: dict[str, frozenset[type]] = {
    **dict.fromkeys(("Edm.String", "Edm.Guid", "Edm.DateTimeOffset"), frozenset({str})),
    **dict.fromkeys(("Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Byte"), frozenset({int})),
    "Edm.Binary": frozenset({str}),
    "Edm.Boolean": frozenset({bool}),
    "Edm.Decimal": frozenset({int, Decimal}),
}

#: Combinations of types that are remembered as right. Real rows have a handful of them.
_MOST_SHAPES = 4096


class RowDecoder:
    """Turns rows of one entity into records: the selected properties, in published order."""

    def __init__(self, entity: Entity, selected: frozenset[str], *, null_sentinels: bool) -> None:
        """Prepare the conversions once for all rows."""
        self._entity_set = entity.entity_set
        self._plain: list[str] = []
        self._converted: list[tuple[str, Decoder]] = []
        chosen = [p for p in entity.properties if p.name in selected]
        self._order = [p.name for p in chosen]
        self._announced = [(p, _parsed_types(p)) for p in chosen]
        self._sound_shapes: set[tuple[type, ...]] = set()
        for prop in entity.properties:
            if prop.name not in selected:
                continue
            convert = decoder(prop, null_sentinels=null_sentinels)
            if prop.name == COMPANY_PROPERTY:
                convert = str.lower  # F&O sends DAT and dat for one company in one answer
            if convert is None:
                self._plain.append(prop.name)
            else:
                self._converted.append((prop.name, convert))

    def record(self, row: dict[str, Any]) -> dict[str, Any]:
        """The record for ``row``.

        Raises:
            DataError: a selected property is missing or of another type: the entity has changed
                since discovery.
        """
        try:
            record = {name: row[name] for name in self._order}
            # Looking at all types of a row at once costs a hundredth of parsing it.
            shape = tuple(map(type, record.values()))
            if shape not in self._sound_shapes:
                self._check(shape)
            for name, convert in self._converted:
                record[name] = convert(record[name])
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

    def _check(self, shape: tuple[type, ...]) -> None:
        for found, (prop, types) in zip(shape, self._announced, strict=True):
            if types and found not in types:
                message = (
                    f"{prop.name} comes as {found.__name__} and was announced as {prop.edm_type}"
                    f"{' of the key' if prop.is_key else ''}; it has changed in the environment, "
                    "run discovery again"
                )
                raise DataError(message)
        if len(self._sound_shapes) < _MOST_SHAPES:
            self._sound_shapes.add(shape)

    def key(self, row: dict[str, Any]) -> dict[str, Any]:
        """The key properties of ``row``, as a record has them."""
        converted = dict(self._converted)
        return {
            name: convert(value) if (convert := converted.get(name)) else value
            for name, value in row.items()
        }


def _parsed_types(prop: Property) -> frozenset[type]:
    """The types that values of ``prop`` may have; empty where nothing is known."""
    is_enum = not prop.edm_type.startswith("Edm.")
    types = frozenset({str}) if is_enum else _PARSED.get(prop.edm_type, frozenset())
    return types | {type(None)} if types and not prop.is_key else types


def identify(key: tuple[str, ...]) -> Callable[[dict[str, Any]], object]:
    """How a received row is recognised when it comes a second time.

    String parts are compared as F&O's database compares them: case does not count.
    """

    def identity(row: dict[str, Any]) -> object:
        return tuple(
            value.lower() if isinstance(value := row.get(name), str) else value for name in key
        )

    return identity
