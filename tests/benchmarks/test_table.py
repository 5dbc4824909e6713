"""What the table says of a figure; nothing is measured here."""

from __future__ import annotations

import json

import pytest
from benchmarks.measuring.figure import Amount, Figure, Goal, at_least, at_most, timed
from benchmarks.measuring.meter import Cost
from benchmarks.measuring.table import document, render


def figure(floor: float, ours: float, goal: Goal, unit: str = "s") -> Figure:
    return Figure("a figure", "a floor", Amount(floor, unit), Amount(ours, unit), goal, "a note")


@pytest.mark.parametrize(
    ("goal", "floor", "ours", "reached"),
    [
        pytest.param(at_most(1.5), 2.0, 3.0, True, id="exactly as slow as it may be"),
        pytest.param(at_most(1.5), 2.0, 3.1, False, id="too slow"),
        pytest.param(at_most(1.5), 2.0, 1.0, True, id="faster than the floor"),
        pytest.param(at_least(8), 1_000, 8_000, True, id="exactly as fast as it must be"),
        pytest.param(at_least(8), 1_000, 7_900, False, id="not fast enough"),
        pytest.param(at_most(1.1, most=400), 300, 310, True, id="flat and small"),
        pytest.param(at_most(1.1, most=400), 390, 410, False, id="flat and large"),
        pytest.param(at_most(1.1, most=400), 100, 200, False, id="small and growing"),
        pytest.param(at_most(1.1), 0, 1, False, id="no floor, no ratio"),
    ],
)
def test_a_goal_looks_at_the_ratio_and_at_the_limit(
    goal: Goal, floor: float, ours: float, *, reached: bool
) -> None:
    assert figure(floor, ours, goal).reached is reached


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(1.234, "s"), "1.23 s"),
        (Amount(12.34, "s"), "12.3 s"),
        (Amount(123_456.7, "rows/s"), "123,457 rows/s"),
    ],
)
def test_an_amount_shows_about_three_digits(amount: Amount, text: str) -> None:
    assert str(amount) == text


def test_the_table_has_a_row_and_a_floor_for_each_figure() -> None:
    lines = render([figure(2, 3, at_most(1.5)), figure(2, 4, at_most(1.5, most=3))]).splitlines()
    assert lines[0].split() == ["figure", "floor", "ours", "ratio", "must", "reach", "reached"]
    assert lines[2].split() == ["a", "figure", "2.00", "s", "3.00", "s", "1.50", "<=", "1.5", "yes"]
    assert lines[3].strip() == "floor: a floor; a note"
    assert lines[4].endswith("2.00  <= 1.5, <= 3 s       NO")
    assert len(lines) == 6


def test_a_figure_of_time_tells_the_processor_time_beside_it() -> None:
    timed_figure = timed(
        "a figure", "a floor", Cost(2, 4), Cost(3, 5), goal=at_most(1.5), note="a note"
    )
    assert (timed_figure.ratio, timed_figure.cpu_ratio) == (1.5, 1.25)
    assert render([timed_figure]).endswith("a note; ratio of processor time 1.25")


def test_the_document_holds_what_the_table_shows() -> None:
    (row,) = json.loads(json.dumps(document([figure(2, 3, at_least(1.2))])))
    assert row == {
        "figure": "a figure",
        "against": "a floor",
        "unit": "s",
        "floor": 2,
        "ours": 3,
        "ratio": 1.5,
        "cpu_ratio": None,
        "must_reach": ">= 1.2",
        "reached": True,
        "note": "a note",
    }
