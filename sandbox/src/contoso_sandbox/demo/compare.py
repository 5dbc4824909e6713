"""Count and add up each published table in three places: D365, the extract, Tableau."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tableauhyperapi import Connection, HyperProcess, SchemaName, TableName, Telemetry, escape_name

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.model import EntitySet

#: Schema of all extracts, and the table of those that hold one stream.
_SCHEMA = "Extract"
_ONLY = "Extract"


@dataclass(frozen=True, slots=True)
class Figure:
    """Rows, and the sum of one amount where the entity has one."""

    rows: int
    total: Decimal | None


@dataclass(frozen=True, slots=True)
class Place:
    """A table of a published data source.

    Attributes:
        datasource: Name of the data source.
        table: Name of its table; a data source of one entity set has the table ``Extract``.
    """

    datasource: str
    table: str

    @property
    def entity_set(self) -> str:
        """What it holds: data sources, and tables of those that have several, are named so."""
        return self.datasource if self.table == _ONLY else self.table

    @property
    def label(self) -> str:
        """How people are told of it."""
        return self.datasource if self.table == _ONLY else f"{self.datasource}.{self.table}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table in three places.

    Attributes:
        amount: Property that was added up; None where the entity publishes no amount.
    """

    name: str
    amount: str | None
    d365: Figure
    extract: Figure | None
    tableau: Figure | None

    @property
    def equal(self) -> bool:
        """Whether all three agree, to the cent and beyond."""
        return self.d365 == self.extract == self.tableau


def compare(contoso: Contoso, extracts: Path) -> list[Comparison]:
    """Compare every table of every published data source.

    Args:
        contoso: The running sandbox; its database is asked directly, not through OData.
        extracts: Directory of the ``.hyper`` files.
    """
    parameters = {"log_config": ""}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as hyperd:
        comparisons = []
        for name in sorted(source.name for source in contoso.tableau.datasources()):
            published = contoso.tableau.hyper_file(name)
            for place in _places(hyperd, name, published):
                entity_set = place.entity_set
                amount = _amount(contoso, contoso.world.environment.entity_sets[entity_set])
                extract = extracts / f"{entity_set}.hyper"
                comparisons.append(
                    Comparison(
                        place.label,
                        amount,
                        d365=_in_d365(contoso, entity_set, amount),
                        extract=_in_hyper(hyperd, extract, _ONLY, amount)
                        if extract.exists()
                        else None,
                        tableau=_in_hyper(hyperd, published, place.table, amount),
                    )
                )
        return comparisons


def _places(hyperd: HyperProcess, datasource: str, file: Path) -> list[Place]:
    """The tables of a published file, which is a copy of the caller's own."""
    with Connection(hyperd.endpoint, str(file)) as connection:
        tables = connection.catalog.get_table_names(SchemaName(_SCHEMA))
    return [Place(datasource, name) for name in sorted(table.name.unescaped for table in tables)]


def _amount(contoso: Contoso, entity_set: EntitySet) -> str | None:
    """The amount with the largest sum; where all are zero (the GL balances), the liveliest one.

    Quantities, rates and percentages count where there is nothing that is called an amount.
    """
    names = [p.name for p in entity_set.properties if p.ax_type is AxType.REAL]
    amounts = [name for name in names if "Amount" in name]
    return _liveliest(contoso, entity_set, amounts) or _liveliest(contoso, entity_set, names)


def _liveliest(contoso: Contoso, entity_set: EntitySet, names: Sequence[str]) -> str | None:
    if not names:
        return None
    for figure in ('abs(sum("{}"))', 'sum(abs("{}"))'):
        figures = ", ".join(figure.format(name) for name in names)
        query = f'SELECT {figures} FROM "{entity_set.name}"'  # noqa: S608 - names of our own model
        found = contoso.world.cursor().execute(query).fetchone() or ()
        by_name = {name: Decimal(value or 0) for name, value in zip(names, found, strict=True)}
        largest = max(names, key=by_name.__getitem__)
        if by_name[largest]:
            return largest
    return None


def _in_d365(contoso: Contoso, name: str, amount: str | None) -> Figure:
    total = f'sum("{amount}")' if amount else "NULL"
    query = f'SELECT count(*), {total} FROM "{name}"'  # noqa: S608 - names of our own model
    return _figure(contoso.world.cursor().execute(query).fetchone())


def _in_hyper(hyperd: HyperProcess, file: Path, table: str, amount: str | None) -> Figure:
    total = f"sum({escape_name(amount)})" if amount else "NULL"
    # A copy: hyperd writes to every file that it opens, and the seal of an extract is a hash.
    with (
        TemporaryDirectory() as directory,
        Connection(hyperd.endpoint, str(shutil.copy(file, directory))) as connection,
    ):
        (row,) = connection.execute_list_query(
            f"SELECT count(*), {total} FROM {TableName(_SCHEMA, table)}"  # noqa: S608 - quoted
        )
    return _figure(row)


def _figure(row: object) -> Figure:
    assert isinstance(row, (tuple, list))  # noqa: S101 - an aggregate has exactly one row
    rows, total = row
    return Figure(int(rows), None if total is None else Decimal(str(total)))
