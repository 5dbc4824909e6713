"""Extracts that are changed again and again do not grow without end."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema, state

from target_tableau_hyper.extract import compaction
from target_tableau_hyper.extract.compaction import Density

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows, Tableau

SCHEMA = schema("gl", {"id": {"type": "integer"}, "text": {"type": "string"}}, keys=["id"])
ROWS = 20_000


def change(table: dict[int, str], chance: random.Random, count: int) -> list[dict[str, Any]]:
    messages = [SCHEMA]
    for number in chance.sample(range(ROWS), count):
        table[number] = f"{chance.getrandbits(160):x}"
        messages.append(record("gl", {"id": number, "text": table[number]}))
    return [*messages, state({"run": 1})]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size count."""
    monkeypatch.setattr(compaction, "SMALL_BYTES", 2**16)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("compacts", [True, False])
def test_many_changes_keep_the_file_small_and_the_values(
    extracts: Extracts,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    compacts: bool,  # noqa: FBT001 - a case
) -> None:
    if not compacts:
        monkeypatch.setattr(compaction, "BLOAT", 1000)
    chance, table = random.Random(5), dict[int, str]()  # noqa: S311 - to be repeated
    extracts.run(change(table, chance, ROWS))
    first = extracts.path("gl").stat().st_size
    assert extracts.manifest("gl")["density"] == {"rows": ROWS, "size": first}
    sizes = []
    for _ in range(4):
        extracts.run(change(table, chance, ROWS // 10))
        sizes.append(extracts.path("gl").stat().st_size)
    assert (max(sizes) <= 1.5 * first) is compacts, sizes
    assert rows(extracts.path("gl")) == sorted(table.items())


@pytest.mark.usefixtures("small")
def test_changed_rows_still_travel_alone(
    extracts: Extracts, tableau: Tableau, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, table = random.Random(6), dict[int, str]()  # noqa: S311 - to be repeated
    extracts.config = tableau.config
    extracts.run(change(table, chance, ROWS))
    monkeypatch.setattr(compaction, "BLOAT", 0.1)
    for _ in range(2):
        extracts.run(change(table, chance, 50))
        assert extracts.manifest("gl")["delivered"]["how"] == "update"
    assert rows(tableau.server.hyper_file("gl")) == sorted(table.items())
    sealed = extracts.manifest("gl")["sha256"]
    extracts.run([SCHEMA, state({"run": 2})])
    assert extracts.manifest("gl")["sha256"] == sealed


@pytest.mark.parametrize(
    ("rows", "size", "bloated"),
    [
        (1_000, 30 * 2**20, False),
        (1_000, 31 * 2**20, True),
        (500, 17 * 2**20, True),
        (0, 2**24, False),
        (0, 2**25, True),
    ],
)
def test_when_it_is_worth_it(rows: int, size: int, bloated: bool) -> None:  # noqa: FBT001 - a case
    assert Density(1_000, 20 * 2**20).is_exceeded(rows, size) is bloated
