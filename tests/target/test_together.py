"""L03 for runs of several streams: killed at any moment, Tableau gets all of them or none.

Controls look at the streams of a run side by side. So no later run, and not ``publish``, may send
the new extract of one together with the old one of another.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.harness import Tableau
    from tests.target.killed import Zygote

    Query = Callable[[Path, str], list[tuple[Any, ...]]]

STREAMS = ("heads", "lines")

BOTH = {
    "tables": {"lines": {"name": "Lines"}, "heads": {"name": "Heads"}},
    "relationships": [{"from": "lines", "to": "heads", "on": {"head": "id"}}],
    "folders": {"Runs": ["run"]},
}

REFERS = {
    "type": "references",
    "stream": "lines",
    "columns": ["head"],
    "refers_to": "heads",
    "refers_to_columns": ["id"],
}

#: When the new extracts count, they all do.
BEFORE = ("commit.next:2",)
AFTER = ("commit.together", "commit.extract", "committed", "delivery.sent")

#: What comes after the run that died: the same tap, another one, or nobody but the command.
MENDING = ("again", "another stream", "publish")


def messages(run: int) -> list[dict[str, Any]]:
    """Every row of both streams says which run it is of, and each run adds one."""
    number = {"type": "integer"}
    sent = []
    for stream in STREAMS:
        sent.append(schema(stream, {"id": number, "head": number, "run": number}))
        sent += [record(stream, {"id": i, "head": i, "run": run}) for i in range(run + 2)]
    return [*sent, state({"run": run})]


OTHER = [schema("other", {"id": {"type": "integer"}}), record("other", {"id": 1}), state({"o": 1})]


def runs_in(query: Query, path: Path, table: str) -> set[tuple[int, int]]:
    """Of which runs the rows of a table are, and how many there are."""
    sql = f'SELECT "run", count(*) OVER () FROM "Extract"."{table}"'  # noqa: S608
    return {(int(run), int(count)) for run, count in query(path, sql)}


def of_run(run: int) -> set[tuple[int, int]]:
    return {(run, run + 2)}


@pytest.fixture
def shown(tableau: Tableau, query: Query) -> Callable[[], int]:
    """Which run Tableau shows, the same in both tables."""

    def read() -> int:
        file = tableau.server.hyper_file("Both")
        heads, lines = (runs_in(query, file, stream) for stream in STREAMS)
        assert heads == lines
        ((run, count),) = heads
        assert count == run + 2
        return run

    return read


@pytest.mark.parametrize("moment", [*BEFORE, *AFTER])
def test_l03_killed_between_two_streams_both_count_or_none(  # noqa: PLR0917 - fixtures
    zygote: Zygote,
    tableau: Tableau,
    query: Query,
    shown: Callable[[], int],
    tmp_path: Path,
    moment: str,
) -> None:
    directory = tmp_path / "output"
    config = {
        **tableau.config,
        "output_dir": str(directory),
        "datasources": {"Both": BOTH},
        "controls": {"lines have their head": REFERS},
    }
    assert zygote.run(config, messages(1)) == (0, [{"run": 1}]), zygote.said
    status, states = zygote.run(config, messages(2), moment)
    assert (status, states) == (-signal.SIGKILL, []), zygote.said
    assert shown() == 1 or moment.startswith("delivery")

    counts = 1 if moment in BEFORE else 2
    mending = MENDING[[*BEFORE, *AFTER].index(moment) % len(MENDING)]
    if mending == "again":
        assert zygote.run(config, messages(2)) == (0, [{"run": 2}]), zygote.said
        counts = 2
    elif mending == "publish":
        assert zygote.run(config, command=["publish"]) == (0, []), zygote.said
    else:
        assert zygote.run(config, OTHER) == (0, [{"o": 1}]), zygote.said
    assert shown() == counts
    for stream in STREAMS:
        path = directory / f"{stream}.hyper"
        assert runs_in(query, path, "Extract") == of_run(counts)
    assert zygote.run(config, command=["verify"])[0] == 0, zygote.said

    assert zygote.run(config, messages(3)) == (0, [{"run": 3}]), zygote.said
    assert shown() == 3
    assert not list(directory.glob(".commit*"))
