"""What every table promises to those who serve it: columns, keys, sentinels, etags."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contoso_sandbox.entities import contoso_environment
from contoso_sandbox.model import AxType, EntitySet

if TYPE_CHECKING:
    import duckdb

    from contoso_sandbox.world import World

ENVIRONMENT = contoso_environment()
SETS = [pytest.param(s, id=s.name) for s in ENVIRONMENT.entity_sets.values()]
JOINED_SETS = [
    pytest.param(s, id=s.name) for s in ENVIRONMENT.entity_sets.values() if s.sources > 1
]


def one(cursor: duckdb.DuckDBPyConnection, sql: str) -> object:
    row = cursor.execute(sql).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("entity_set", SETS)
def test_a_table_has_one_column_per_property(world: World, entity_set: EntitySet) -> None:
    with world.cursor() as cursor:
        columns = {
            name: kind.replace(" ", "")
            for name, kind, *_ in cursor.execute(f"DESCRIBE {entity_set.name}").fetchall()
        }
    assert columns.pop("__rec_id") == columns.pop("__rec_version") == "BIGINT"
    assert columns.pop("__etag_tail", None) == ("VARCHAR" if entity_set.sources > 1 else None)
    assert columns == {p.name: p.sql_type.replace(" ", "") for p in entity_set.properties}


@pytest.mark.parametrize("entity_set", SETS)
def test_no_set_is_empty(books: duckdb.DuckDBPyConnection, entity_set: EntitySet) -> None:
    assert one(books, f"SELECT count(*) FROM {entity_set.name}")


@pytest.mark.parametrize("entity_set", SETS)
def test_keys_are_unique_as_sql_server_compares(
    books: duckdb.DuckDBPyConnection, entity_set: EntitySet
) -> None:
    strings = {p.name for p in entity_set.properties if p.ax_type is AxType.STRING}
    # SQL Server ignores case and trailing blanks.
    key = ", ".join(f"rtrim(lower({k}))" if k in strings else k for k in entity_set.key)
    assert not books.execute(
        f"SELECT {key} FROM {entity_set.name} GROUP BY ALL HAVING count(*) > 1"
    ).fetchall()


@pytest.mark.parametrize("entity_set", SETS)
def test_rec_ids_are_unique_and_are_the_source_key(
    books: duckdb.DuckDBPyConnection, entity_set: EntitySet
) -> None:
    name = entity_set.name
    assert one(books, f"SELECT count(*) - count(DISTINCT __rec_id) FROM {name}") == 0
    if any(p.name == "SourceKey" for p in entity_set.properties):
        assert one(books, f"SELECT count(*) FROM {name} WHERE SourceKey <> __rec_id") == 0
    if any(p.name == "SysRecVersion" for p in entity_set.properties):
        assert one(books, f"SELECT count(*) FROM {name} WHERE SysRecVersion <> __rec_version") == 0


@pytest.mark.parametrize("entity_set", JOINED_SETS)
def test_the_etag_tail_has_one_pair_per_further_source(
    books: duckdb.DuckDBPyConnection, entity_set: EntitySet
) -> None:
    pairs = entity_set.sources - 1
    assert not books.execute(
        f"SELECT __etag_tail FROM {entity_set.name}"
        f" WHERE NOT regexp_full_match(__etag_tail, '(;\\d+,\\d+){{{pairs}}}')"
    ).fetchall()


@pytest.mark.parametrize("entity_set", SETS)
def test_only_enums_are_ever_null(books: duckdb.DuckDBPyConnection, entity_set: EntitySet) -> None:
    for prop in entity_set.properties:
        if prop.ax_type is not AxType.ENUM:
            absent = f'SELECT count(*) FROM {entity_set.name} WHERE "{prop.name}" IS NULL'
            assert one(books, absent) == 0, prop.name


@pytest.mark.parametrize("entity_set", SETS)
def test_enums_hold_names_of_members(
    books: duckdb.DuckDBPyConnection, entity_set: EntitySet
) -> None:
    for prop in entity_set.properties:
        if prop.enum is not None:
            members = {member for member, _ in ENVIRONMENT.enums[prop.enum].members}
            found = books.execute(
                f'SELECT DISTINCT "{prop.name}" FROM {entity_set.name}'
            ).fetchall()
            assert {value for (value,) in found} - {None} <= members, prop.name


@pytest.mark.parametrize("entity_set", SETS)
def test_dates_lie_at_noon_and_instants_on_whole_seconds(
    books: duckdb.DuckDBPyConnection, entity_set: EntitySet
) -> None:
    rules = {
        AxType.DATE: "\"{}\"::TIME <> TIME '12:00:00'",
        AxType.UTC_DATE_TIME: 'epoch_us("{}") % 1000000 <> 0',
    }
    for prop in entity_set.properties:
        if prop.ax_type in rules:
            broken = rules[prop.ax_type].format(prop.name)
            assert one(books, f"SELECT count(*) FROM {entity_set.name} WHERE {broken}") == 0


def test_nothing_is_stamped_later_than_contosos_evening(
    books: duckdb.DuckDBPyConnection,
) -> None:
    for entity_set in ENVIRONMENT.entity_sets.values():
        for prop in entity_set.properties:
            if prop.name in {"SysModifiedDateTime", "CreatedOn", "ModifiedDateTime"}:
                latest = f"SELECT max({prop.name})::DATE FROM {entity_set.name}"
                assert one(books, f"SELECT ({latest}) <= today FROM books.state")
