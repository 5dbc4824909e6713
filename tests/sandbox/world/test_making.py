"""Making and keeping a world: by seed, by scale, and not twice."""

# ruff: noqa: S608 - SQL of names in this repository

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest
from tests.sandbox.world.conftest import SMALL, digest

from contoso_sandbox.world import StaleWorldError, World

if TYPE_CHECKING:
    from pathlib import Path


def count(world: World, name: str) -> int:
    with world.cursor() as cursor:
        row = cursor.execute(f"SELECT count(*) FROM {name}").fetchone()
        assert row is not None
        return int(row[0])


def test_one_seed_makes_one_world(
    own_world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with closing(World.open(tmp_path_factory.mktemp("again"), scale=SMALL)) as again:
        assert digest(again) == digest(own_world)
        again.advance(1)
        own_world.advance(1)
        assert digest(again) == digest(own_world)


def test_another_seed_makes_other_documents_of_the_same_masters(
    own_world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with closing(World.open(tmp_path_factory.mktemp("eight"), seed=8, scale=SMALL)) as other:
        seven, eight = digest(own_world), digest(other)
    assert {name for name in seven if seven[name] == eight[name]} == {
        "Companies",
        "FiscalCalendars",
        "FiscalPeriods",
        "Ledgers",
        "LegalEntities",
        "MainAccounts",
        "VendorGroups",
    }


def test_the_demo_has_the_size_that_the_demo_needs(world: World) -> None:
    assert world.companies == ("usmf", "gbsi", "demf", "2")
    assert world.default_company == "usmf"
    assert world.today == date(2026, 6, 30)
    assert 200 <= count(world, "VendorsV2") <= 230
    assert count(world, "PurchaseOrderHeadersV2") == 2000 + 1  # the one made by hand
    assert 5500 <= count(world, "PurchaseOrderLinesV2") <= 6500
    assert 2800 <= count(world, "VendInvoiceJourBiEntities") <= 3200
    assert 18_000 <= count(world, "GeneralJournalAccountEntryBiEntities") <= 21_000


def test_size_follows_scale(tmp_path: Path, world: World) -> None:
    with closing(World.open(tmp_path, scale=2)) as larger:
        for name in (
            "VendorsV2",
            "PurchaseOrderLinesV2",
            "VendTransBiEntities",
            "GeneralJournalAccountEntryBiEntities",
        ):
            assert count(larger, name) == pytest.approx(2 * count(world, name), rel=0.1)


def test_every_company_has_every_kind_of_document_in_the_smallest_world(tmp_path: Path) -> None:
    with closing(World.open(tmp_path, scale=0.001)) as tiny, tiny.cursor() as cursor:
        for name in ("PurchaseOrderHeadersV2", "VendInvoiceJourBiEntities", "VendTransBiEntities"):
            companies = cursor.execute(f"SELECT DISTINCT lower(dataAreaId) FROM {name}").fetchall()
            assert {company for (company,) in companies} == set(tiny.companies), name
        tiny.advance(3)


def test_an_existing_world_is_opened_as_it_was_left(small_file: Path, tmp_path: Path) -> None:
    shutil.copy(small_file, tmp_path)
    with closing(World.open(tmp_path)) as world:
        world.advance(1)
        left = digest(world)
    with closing(World.open(tmp_path, seed=99, scale=5)) as again:
        assert again.today == date(2026, 7, 1)
        assert digest(again) == left
        again.advance(1)
        two_days = digest(again)
    shutil.copy(small_file, tmp_path)
    with closing(World.open(tmp_path)) as without_a_break:
        without_a_break.advance(2)
        assert digest(without_a_break) == two_days


def test_a_world_of_another_version_is_refused(small_file: Path, tmp_path: Path) -> None:
    shutil.copy(small_file, tmp_path)
    with duckdb.connect(str(tmp_path / "contoso.duckdb")) as connection:
        connection.execute("UPDATE books.state SET fingerprint = 'of old'")
    with pytest.raises(StaleWorldError, match="delete it"):
        World.open(tmp_path)


def test_a_file_that_holds_no_world_is_refused(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "contoso.duckdb")).close()
    with pytest.raises(StaleWorldError):
        World.open(tmp_path)


def test_a_making_that_was_interrupted_is_started_again(tmp_path: Path) -> None:
    (tmp_path / "contoso.unfinished").write_bytes(b"half a database")
    with closing(World.open(tmp_path, scale=SMALL)) as made:
        assert count(made, "VendorsV2") > 0
    assert [path.name for path in tmp_path.iterdir()] == ["contoso.duckdb"]
