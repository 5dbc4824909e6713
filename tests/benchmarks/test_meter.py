"""Which run counts, and what a process is called."""

from __future__ import annotations

import pytest
from benchmarks.measuring.meter import Cost, Peak, alternately, program_name


def test_works_take_turns_and_the_fastest_run_of_each_counts() -> None:
    order: list[str] = []
    seconds = {"floor": iter([3.0, 1.0, 2.0]), "ours": iter([5.0, 6.0, 4.0])}

    def work(name: str) -> Cost:
        order.append(name)
        return Cost(next(seconds[name]))

    costs = alternately(3, lambda: work("floor"), lambda: work("ours"))
    assert [cost.seconds for cost in costs] == [1.0, 4.0]
    assert order == ["floor", "ours"] * 3


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/venv/bin/python3", "/venv/bin/tap-d365fo", "--config", "x"], "tap-d365fo"),
        (["/venv/bin/python", "-m", "benchmarks.run"], "benchmarks.run"),
        (["/venv/hyper/hyperd", "run"], "hyperd"),
        (["python3"], "python3"),
        ([], ""),
    ],
)
def test_an_interpreter_is_called_after_its_script(command: list[str], name: str) -> None:
    assert program_name(command) == name


def test_the_largest_process_of_a_name_counts() -> None:
    cost = Cost(1.0, 0.5, (Peak("hyperd", 10, 5), Peak("hyperd", 30, 6), Peak("tap", 99, 99)))
    assert cost.peak("hyperd").rss_mb == 30
    with pytest.raises(LookupError, match="no process 'target'"):
        cost.peak("target")
