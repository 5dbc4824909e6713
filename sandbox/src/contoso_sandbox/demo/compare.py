"""Count and add up one data source in three places: D365, the extract, Tableau."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tableauhyperapi import Connection, HyperProcess, TableName, Telemetry, escape_name

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.model import EntitySet

_TABLE = TableName("Extract", "Extract")


@dataclass(frozen=True, slots=True)
class Figure:
    """Rows, and the sum of one amount where the entity has one."""

    rows: int
    total: Decimal | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One data source in three places.

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


def compare(contoso: Contoso, extracts: Path, names: list[str]) -> list[Comparison]:
    """Compare the named data sources.

    Args:
        contoso: The running sandbox; its database is asked directly, not through OData.
        extracts: Directory of the ``.hyper`` files.
        names: Entity sets, which are also the data sources' names.
    """
    published = {source.name for source in contoso.tableau.datasources()}
    parameters = {"log_config": ""}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=parameters) as hyperd:
        comparisons = []
        for name in names:
            amount = _amount(contoso, contoso.world.environment.entity_sets[name])
            extract = extracts / f"{name}.hyper"
            comparisons.append(
                Comparison(
                    name,
                    amount,
                    d365=_in_d365(contoso, name, amount),
                    extract=_in_hyper(hyperd, extract, amount) if extract.exists() else None,
                    tableau=_in_hyper(hyperd, contoso.tableau.hyper_file(name), amount)
                    if name in published
                    else None,
                )
            )
        return comparisons


def _amount(contoso: Contoso, entity_set: EntitySet) -> str | None:
    """The amount with the largest sum; where all are zero (the GL balances), the liveliest one."""
    names = [p.name for p in entity_set.properties if p.ax_type is AxType.REAL]
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


def _in_hyper(hyperd: HyperProcess, file: Path, amount: str | None) -> Figure:
    total = f"sum({escape_name(amount)})" if amount else "NULL"
    # A copy: hyperd writes to every file that it opens, and the seal of an extract is a hash.
    with (
        TemporaryDirectory() as directory,
        Connection(hyperd.endpoint, str(shutil.copy(file, directory))) as connection,
    ):
        (row,) = connection.execute_list_query(f"SELECT count(*), {total} FROM {_TABLE}")  # noqa: S608
    return _figure(row)


def _figure(row: object) -> Figure:
    assert isinstance(row, (tuple, list))  # noqa: S101 - an aggregate has exactly one row
    rows, total = row
    return Figure(int(rows), None if total is None else Decimal(str(total)))
