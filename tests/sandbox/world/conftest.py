"""Worlds that the tests look at; making one takes a second or two, so they share."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from contoso_sandbox.world import AdvanceSummary, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

SMALL = 0.1


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The demo's world, as it opens: read it, do not advance it."""
    with closing(World.open(tmp_path_factory.mktemp("demo"))) as opened:
        yield opened


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a small world; to be copied, not opened."""
    directory = tmp_path_factory.mktemp("small")
    World.open(directory, scale=SMALL).close()
    return directory / "contoso.duckdb"


@pytest.fixture
def own_world(small_file: Path, tmp_path: Path) -> Iterator[World]:
    """A small world of the test's own."""
    shutil.copy(small_file, tmp_path)
    with closing(World.open(tmp_path)) as opened:
        yield opened


@pytest.fixture(scope="session")
def moved(
    small_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, AdvanceSummary]]:
    """A small world after six business days: read it, do not advance it."""
    directory = tmp_path_factory.mktemp("moved")
    shutil.copy(small_file, directory)
    with closing(World.open(directory)) as opened:
        yield opened, opened.advance(6)


@pytest.fixture(params=["as it opens", "after six days"])
def books(request: pytest.FixtureRequest) -> Iterator[duckdb.DuckDBPyConnection]:
    """What must hold at any time is asked of both worlds."""
    if request.param == "as it opens":
        opened: World = request.getfixturevalue("world")
    else:
        opened, _ = request.getfixturevalue("moved")
    with opened.cursor() as cursor:
        yield cursor


def digest(world: World) -> dict[str, object]:
    """What tells two worlds apart, by set."""
    with world.cursor() as cursor:
        return {
            name: cursor.execute(f"SELECT count(*), sum(hash(t)) FROM {name} AS t").fetchone()
            for name in world.environment.entity_sets
        }
