"""From a row as received to the record that is emitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from tap_d365fo.metadata.edm import Decoder, decoder
from tap_d365fo.metadata.model import COMPANY_PROPERTY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.metadata.model import Entity

#: Annotation with which F&O sends a fingerprint of every row, whatever is selected.
ETAG = "@odata.etag"


class RowDecoder:
    """Turns rows of one entity into records: the selected properties, in published order."""

    def __init__(self, entity: Entity, selected: frozenset[str], *, null_sentinels: bool) -> None:
        """Prepare the conversions once for all rows."""
        self._entity_set = entity.entity_set
        self._plain: list[str] = []
        self._converted: list[tuple[str, Decoder]] = []
        self._order = [p.name for p in entity.properties if p.name in selected]
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
            DataError: a selected property is missing: the entity has changed since discovery.
        """
        try:
            record = {name: row[name] for name in self._order}
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

    def key(self, row: dict[str, Any]) -> dict[str, Any]:
        """The key properties of ``row``, as a record has them."""
        converted = dict(self._converted)
        return {
            name: convert(value) if (convert := converted.get(name)) else value
            for name, value in row.items()
        }


def identify(key: tuple[str, ...]) -> Callable[[dict[str, Any]], object]:
    """How a received row is recognised when it comes a second time.

    String parts are compared as F&O's database compares them: case does not count.
    """

    def identity(row: dict[str, Any]) -> object:
        return tuple(
            value.lower() if isinstance(value := row.get(name), str) else value for name in key
        )

    return identity
