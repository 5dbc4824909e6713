"""Odd keys, odd names, odd values: read exactly, by every strategy that can read them.

Keys of every Edm type and of twenty parts, a set without a key, names of 75 characters, columns
that differ only by case, decimals of 28 digits, integers beyond 2^53, sentinels in keys.
"""

from __future__ import annotations

import base64
import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from contoso_sandbox.entities.odd import odd
from contoso_sandbox.entities.odd_rows import ROWS
from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tests.tap.conftest import Output

    from contoso_sandbox.environment_box import EnvironmentBox
    from contoso_sandbox.model import EntitySet, Property

    RunTap = Callable[..., Output]
    Table = dict[str, dict[str, Any]]

SETS = odd().entity_sets
KEYED = [name for name, entity_set in SETS.items() if entity_set.key]


def config_for(box: EnvironmentBox, **changes: object) -> dict[str, Any]:
    given = {
        name.removeprefix("TAP_D365FO_").lower(): value for name, value in box.settings().items()
    }
    return {**given, "entities": ["*"], **changes}


def as_record(entity_set: EntitySet, row: Mapping[str, Any]) -> dict[str, Any]:
    """What a RECORD holds of a stored row."""
    columns = {p.name: p for p in entity_set.properties}
    return {
        name: value_of(columns[name], value, is_key=name in entity_set.key)
        for name, value in row.items()
        if columns[name].ax_type is not AxType.CONTAINER
    }


def value_of(column: Property, value: Any, *, is_key: bool) -> Any:  # noqa: ANN401 - a JSON value
    match column.ax_type:
        case AxType.DATE:
            day = f"{value:%Y-%m-%d}"
            return day if is_key or day != "1900-01-01" else None
        case AxType.UTC_DATE_TIME:
            instant = f"{value:%Y-%m-%dT%H:%M:%SZ}"
            return instant if is_key or instant != "1900-01-01T00:00:00Z" else None
        case AxType.GUID if not is_key and value == "00000000-0000-0000-0000-000000000000":
            return None
        case AxType.STRING if column.name == "dataAreaId":
            return value.lower()
        case _:
            return value


def key_of(entity_set: EntitySet, record: Mapping[str, Any]) -> str:
    return json.dumps([record[name] for name in entity_set.key], default=str)


def expected(name: str) -> list[dict[str, Any]]:
    return [as_record(SETS[name], row) for row in ROWS[name]]


def in_any_order(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """As sorted text, with every digit of every number, and equal numbers written alike."""

    def plain(value: object) -> object:
        if isinstance(value, bool):
            return value
        if isinstance(value, Decimal | int):
            # As written with all places: normalize() would round to 28 digits.
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        return value

    return sorted(
        json.dumps({name: plain(value) for name, value in record.items()}, sort_keys=True)
        for record in records
    )


@pytest.mark.parametrize("paging", ["position", "keyset"])
def test_every_set_is_read_whole_and_exact(
    odd_environment: EnvironmentBox, run_tap: RunTap, paging: str
) -> None:
    settings = {name: {"paging": paging} for name in SETS}
    output = run_tap(config_for(odd_environment, entity_settings=settings))
    for name in SETS:
        assert in_any_order(output.records(name)) == in_any_order(expected(name)), name


def test_an_entity_that_odata_does_not_serve_is_not_offered(
    odd_environment: EnvironmentBox, run_tap: RunTap
) -> None:
    assert not run_tap(config_for(odd_environment)).of("SCHEMA", "OddUnservedRows")


def test_binaries_come_where_they_are_asked_for(
    odd_environment: EnvironmentBox, run_tap: RunTap
) -> None:
    from tap_d365fo.tap import TapD365FO  # noqa: PLC0415 - beside the catalog that it makes

    config = config_for(odd_environment, entities=["OddBinaries"])
    catalog = TapD365FO(config=config).catalog_dict
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] == ["properties", "Image"]:
            entry["metadata"]["selected"] = True
    records = run_tap(config, catalog=catalog).records("OddBinaries")
    stored = {row["Id"]: row["Image"] for row in ROWS["OddBinaries"]}
    assert len(stored) == len(records)
    for record in records:
        image = stored[record["Id"]]
        assert record["Image"] == (
            base64.b64encode(image).decode() if isinstance(image, bytes) else image
        )


def test_changes_and_deletions_are_found_under_every_kind_of_key(
    new_odd_environment: Callable[[], EnvironmentBox], run_tap: RunTap, tmp_path: Path
) -> None:
    box = new_odd_environment()
    config = config_for(box, snapshot_path=str(tmp_path))
    first = run_tap(config)
    target: dict[str, Table] = {}
    apply(target, first)
    quiet = run_tap(config, state=first.states[-1])
    assert sum(quiet.counts[name] for name in KEYED) == 0
    stored = {name: [dict(row) for row in ROWS[name]] for name in KEYED}
    for name in KEYED:
        if name != "Companies":  # a company less would be another test
            change_some(box, SETS[name], stored[name])
    third = run_tap(config, state=quiet.states[-1])
    apply(target, third)
    for name in KEYED:
        rows = [as_record(SETS[name], row) for row in stored[name]]
        assert in_any_order(target[name].values()) == in_any_order(rows), name
        assert third.counts[name] in ({0} if name == "Companies" else {1, 2}), name


def change_some(box: EnvironmentBox, entity_set: EntitySet, rows: list[dict[str, Any]]) -> None:
    """Delete the first row where there are several, and change the last one where it can be."""
    keys = entity_set.key
    if len(rows) > 1:
        gone = rows.pop(0)
        box.tables.delete(entity_set.name, {name: gone[name] for name in keys})
    last = rows[-1]
    column = next(
        (
            p.name
            for p in entity_set.properties
            if p.ax_type is AxType.STRING and p.name not in keys and isinstance(last[p.name], str)
        ),
        None,
    )
    if column is not None:
        last[column] = "changed"
        box.tables.change(entity_set.name, {name: last[name] for name in keys}, {column: "changed"})


def apply(target: dict[str, Table], output: Output) -> None:
    """What a target that upserts by key, and deletes, makes of a run."""
    for message in output.of("RECORD"):
        name, record = message["stream"], message["record"]
        if not SETS[name].key:
            continue
        table = target.setdefault(name, {})
        if record.pop("_sdc_deleted_at", None) is None:
            table[key_of(SETS[name], record)] = record
        else:
            del table[key_of(SETS[name], record)]


def test_the_rows_hold_what_this_is_about() -> None:
    numbers = [value for row in ROWS["OddNumbers"] for value in row.values()]
    assert any(isinstance(n, Decimal) and len(n.as_tuple().digits) >= 28 for n in numbers)
    assert any(isinstance(n, int) and n > 2**53 for n in numbers)
    assert max(len(SETS[name].key) for name in SETS) == 20
    assert max(len(name) for name in SETS) == 75
    assert any(row["ValidFrom"] == datetime(1900, 1, 1, 12) for row in ROWS["OddDateKeys"])  # noqa: DTZ001
