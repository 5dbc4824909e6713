"""The tap reads an OData server that others wrote and that knows nothing of F&O: odatapy's.

odatapy holds an F&O-like model (``fixtures/entities.edmx``: companies, enums, AXType annotations,
keys of text, Int64, Decimal, Date, UtcDateTime and enum) and answers as the OData standard says,
not as F&O does: no ``/metadata`` service, only ``$metadata``; opaque ``$skiptoken`` links that hold
quotes, bars and percent signs; a full last page; no etags; and, in half of the tests, Int64 and
Decimal as JSON strings. The tap must read every row of every set once, to the last digit.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from tests.interop.odata_rows import COMPANIES, MODEL, Column, Table, read_tables
from tests.interop.odata_service import PAGE_SIZE, odata_service
from tests.interop.peers import shell
from tests.interop.pipes import run_tap, tap_command
from tests.tap.conftest import Output

from contoso_sandbox.tls import Tls, create_tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.interop.odata_rows import Cell

ROWS = 200
TABLES = read_tables(MODEL, rows=ROWS)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return create_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(
    scope="module",
    params=[pytest.param((), id="numbers"), pytest.param(("strings",), id="IEEE754 strings")],
)
def service(request: pytest.FixtureRequest, tls: Tls) -> Iterator[dict[str, Any]]:
    with odata_service(tls, *request.param) as config:
        yield config


@pytest.fixture(scope="module")
def first(service: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Output:
    """A first run over every set."""
    return Output(run_tap(service, tmp_path_factory.mktemp("first")).decode())


@pytest.fixture(scope="module")
def catalog(
    service: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What the tap discovers, by stream."""
    command = [*tap_command(service, tmp_path_factory.mktemp("discovery")), "--discover"]
    done = subprocess.run(command, capture_output=True, env=shell(), timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return {stream["tap_stream_id"]: stream for stream in json.loads(done.stdout)["streams"]}


def record_of(table: Table, row: dict[str, Cell]) -> dict[str, Any]:
    """The record that a row must become."""
    return {column.name: _emitted(column, row[column.name]) for column in table.columns}


def _emitted(column: Column, value: Cell) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(value, datetime):
        if not column.key and value.date() == datetime(1900, 1, 1, tzinfo=UTC).date():
            return None
        return f"{value:%Y-%m-%d}" if column.ax_type == "Date" else f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, UUID):
        return str(value) if value.int else None
    return value


def by_key(table: Table, records: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(record[name] for name in table.key): record for record in records}


def assert_no_float(records: list[dict[str, Any]]) -> None:
    """``Decimal`` comes of a fraction, ``int`` of a whole number, ``str`` of a string."""
    assert not [record for record in records if any(isinstance(v, float) for v in record.values())]


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_every_set_comes_once_and_to_the_last_digit(first: Output, name: str) -> None:
    table = TABLES[name]
    records = first.records(name)
    expected = by_key(table, [record_of(table, row) for row in table.rows])
    came = by_key(table, records)
    assert len(expected) == len(table.rows) > (PAGE_SIZE if name != "LegalEntities" else 0)
    assert came.keys() == expected.keys()
    assert len(records) == len(came), "a row came twice"
    for key, record in expected.items():
        assert came[key] == record
    assert_no_float(records)


def test_the_run_is_complete_and_its_totals_are_exact(first: Output) -> None:
    audit = first.states[-1]["audit"]
    assert audit["complete"]
    for name, table in TABLES.items():
        figures = audit["streams"][name]
        assert figures["records"] == len(table.rows)
        for column in table.columns:
            if column.ax_type == "Real":
                total = sum(
                    (Decimal(str(row[column.name])) for row in table.rows), start=Decimal(0)
                )
                assert Decimal(figures["totals"][column.name]) == total, (name, column.name)


def test_the_model_holds_amounts_that_a_float_would_change() -> None:
    """Otherwise equality above would prove less than it says."""
    lost: Counter[str] = Counter()
    for name, table in TABLES.items():
        for row in table.rows:
            lost[name] += sum(
                Decimal(repr(float(cell))) != cell
                for cell in row.values()
                if isinstance(cell, Decimal)
            )
    assert {name for name, count in lost.items() if count > 10} == {
        *("VendorsV2", "VendTransBiEntities", "GeneralJournalAccountEntryBiEntities"),
        *("ExchangeRates", "LedgerJournalLines", "CPTransactions"),
    }


def test_a_second_run_from_the_state_loses_nothing(service: dict[str, Any], tmp_path: Path) -> None:
    marked = ("GeneralJournalAccountEntryBiEntities", "VendTransBiEntities")
    settings = {**service, "entity_settings": {name: {"lookback": 10} for name in marked}}
    first = Output(run_tap(settings, tmp_path).decode())
    second = Output(run_tap(settings, tmp_path, state=first.states[-1]).decode())
    assert second.states[-1]["audit"]["complete"]
    for name, table in TABLES.items():
        expected = by_key(table, [record_of(table, row) for row in table.rows])
        came = by_key(table, second.records(name))
        assert all(expected[key] == record for key, record in came.items()), name
        if name in marked:
            assert 0 < len(came) < len(expected), "rows behind the bookmark were read again"
        else:
            assert came.keys() == expected.keys()


def test_only_the_companies_that_were_asked_for(service: dict[str, Any], tmp_path: Path) -> None:
    wanted = [name for name, table in TABLES.items() if "dataAreaId" in table.key]
    settings = {**service, "companies": ["GBSI"], "entities": wanted}
    output = Output(run_tap(settings, tmp_path).decode())
    for name in wanted:
        table = TABLES[name]
        mine = [row for row in table.rows if row["dataAreaId"] == "gbsi"]
        assert len(mine) > PAGE_SIZE
        assert by_key(table, output.records(name)) == by_key(
            table, [record_of(table, row) for row in mine]
        )


def test_each_company_is_a_partition(first: Output) -> None:
    partitions = first.states[-1]["bookmarks"]["VendTransBiEntities"]["partitions"]
    assert sorted(p["context"]["company"] for p in partitions) == sorted(COMPANIES)


def test_keys_are_those_of_the_model(catalog: dict[str, dict[str, Any]]) -> None:
    assert {name: tuple(stream["key_properties"]) for name, stream in catalog.items()} == {
        name: table.key for name, table in TABLES.items()
    }


#: JSON Schema of each AX type. Only the annotation tells a Date from a UtcDateTime.
SCHEMAS: dict[str, tuple[str, str | None]] = {
    "String": ("string", None),
    "Enum": ("string", None),
    "Int32": ("integer", None),
    "Int64": ("integer", None),
    "Real": ("number", None),
    "Date": ("string", "date"),
    "UtcDateTime": ("string", "date-time"),
    "Guid": ("string", "uuid"),
    "Boolean": ("boolean", None),
}


@pytest.mark.parametrize("name", TABLES)
def test_types_are_those_of_the_model(catalog: dict[str, dict[str, Any]], name: str) -> None:
    properties = catalog[name]["schema"]["properties"]
    assert properties.keys() == {column.name for column in TABLES[name].columns}
    for column in TABLES[name].columns:
        schema = properties[column.name]
        kind, form = SCHEMAS[column.ax_type]
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert set(types) == ({kind} if column.key else {kind, "null"}), column.name
        assert schema.get("format") == form, column.name
        assert "enum" not in schema
