"""Control `sql`: what a query may say, and whose fault it is where it cannot be run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.target.journal import GOOD, LINES, VENDORS, line, results, vendor

from pipeline_core.errors import ConfigError, IntegrityError, TransientError
from target_tableau_hyper.controls.look import Look
from target_tableau_hyper.controls.settings import ControlSettings
from target_tableau_hyper.extract.engine import start_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.target.harness import Extracts, Rows


def asking(query: str) -> dict[str, Any]:
    return {"q": {"type": "sql", "query": query}}


def test_any_query_that_must_return_nothing(extracts: Extracts) -> None:
    controls = asking(
        "SELECT * FROM {lines} l JOIN {vendors} v ON l.vendor = v.vendor WHERE amount > 100;"
    )
    extracts.run([*GOOD, VENDORS, vendor("V-1")], controls=controls)
    with pytest.raises(IntegrityError, match="1 rows of lines and vendors are against it"):
        extracts.run([LINES, line(9, "J9", "100.01", "V-1")], controls=controls)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM {lines} l WHERE amount > 100 -- large",
        "SELECT * FROM {lines} l WHERE amount > 100; -- large; really",
        "SELECT * FROM {lines} l WHERE amount > 100 /* large; */ ; ;",
        "-- {vendros} are for later\nSELECT * FROM {lines} l /* {vendros} */ WHERE amount > 100",
        """SELECT * FROM {lines} l WHERE amount > 100 AND entry <> '{"of": "none"}'""",
        "SELECT * FROM {lines} l WHERE amount > 100 AND entry <> 'it''s {none}'",
        "SELECT * FROM {lines} l WHERE amount > 100 AND entry <> E'it\\'s {none}'",
        "SELECT * FROM {lines} l WHERE amount > 100 AND entry <> $$'{none}$$",
        "SELECT * FROM {lines} l WHERE amount > 100 AND entry <> $a${none}$$ -- '$a$",
        'SELECT amount AS "{none}" FROM {lines} l WHERE amount > 100',
        "SELECT * FROM {lines} l WHERE amount > 100 AND entry <> '-- none' -- '",
    ],
)
def test_comments_and_literals_are_left_alone(extracts: Extracts, query: str) -> None:
    extracts.run(GOOD, controls=asking(query))
    assert results(extracts)["q"]["saying"] == "no row of lines is against it"
    with pytest.raises(IntegrityError, match="1 rows of lines are against it"):
        extracts.run([LINES, line(9, "J9", "100.01")], controls=asking(query))


@pytest.mark.parametrize("query", ["SELECT '{lines}'", "SELECT 1 -- {lines}", 'SELECT "{lines}"'])
def test_a_query_must_name_a_stream_where_it_counts(query: str) -> None:
    with pytest.raises(ConfigError, match="must name at least one stream in braces"):
        ControlSettings.from_config({"controls": asking(query), "accept_drop": []})


@pytest.mark.parametrize(
    "sql",
    [
        "SELEC * FROM {lines}",
        "DELETE FROM {lines}",
        "SELECT 1 FROM {lines}) q; DROP TABLE x; SELECT (1",
        "SELECT 1 FROM {lines}; SELECT 1 FROM {lines}",
        "SELECT 1 FROM {lines} /* never closed",
        "SELECT 1 FROM {lines} WHERE entry = 'never closed",
        "SELECT memory FROM {lines}",
        'SELECT "no disk" FROM {lines}',
        "SELECT 1 FROM {lines} l WHERE 1 / (id - id) > 1",
    ],
)
def test_a_query_that_is_none_is_told_and_changes_nothing(
    extracts: Extracts, rows: Rows, sql: str
) -> None:
    extracts.run(GOOD)
    with pytest.raises(ConfigError, match="control 'q': hyperd cannot run the query: "):
        extracts.run([LINES, line(9, "J", "1")], controls=asking(sql))
    assert len(rows(extracts.path("lines"))) == 3


def test_a_query_that_fails_on_a_value_does_not_tell_it(extracts: Extracts) -> None:
    query = "SELECT 1 FROM {lines} l WHERE cast(entry AS BIGINT) > 1"
    with pytest.raises(ConfigError, match="invalid input syntax") as caught:
        extracts.run([LINES, line(9, "can'ary", "1")], controls=asking(query))
    assert "ary" not in str(caught.value)


def test_memory_that_is_short_is_no_fault_of_the_query(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", start_engine)
    query = (
        "SELECT 1 FROM {lines} l WHERE entry = (SELECT string_agg(repeat(n::text, 20), ',') "
        "FROM generate_series(1, 1000000) g(n))"
    )
    with pytest.raises(TransientError, match=r"hyperd failed on .*memory"):
        extracts.run(GOOD, controls=asking(query), memory_limit="40m")


def test_nor_is_a_hyperd_that_dies(extracts: Extracts, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {child.pid for child in psutil.Process().children(recursive=True)}
    real = Look.tables

    @contextmanager
    def kill_then(look: Look, *streams: str) -> Iterator[Any]:
        with real(look, *streams) as found:
            own = [c for c in psutil.Process().children(recursive=True) if c.pid not in known]
            assert own, "the run has a hyperd of its own"
            for child in own:
                child.kill()
            yield found

    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", start_engine)
    monkeypatch.setattr(Look, "tables", kill_then)
    with pytest.raises(TransientError, match="hyperd failed on"):
        extracts.run(GOOD, controls=asking("SELECT * FROM {lines} l WHERE amount > 100"))
