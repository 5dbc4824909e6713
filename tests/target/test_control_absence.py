"""Controls about streams that are not there: not yet, not any more, or by a slip of the pen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.journal import BALANCE, GOOD, LINES, REFERS, VENDORS, line, results, vendor

from pipeline_core.errors import IntegrityError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Extracts

FULL = {"type": "not_empty", "stream": "lines"}
SQL = {"type": "sql", "query": "SELECT * FROM {lines} l WHERE amount > 100"}


@pytest.mark.parametrize(
    "control", [BALANCE, REFERS, {"type": "max_drop", "stream": "lines", "rows": 0}, FULL, SQL]
)
def test_what_was_never_loaded_is_told_as_not_checked(
    extracts: Extracts, tmp_path: Path, caplog: pytest.LogCaptureFixture, control: dict[str, Any]
) -> None:
    caplog.set_level(logging.INFO)
    ledger = tmp_path / "ledger.db"
    extracts.run([VENDORS, vendor("V-1")], controls={"c": control}, ledger_path=str(ledger))
    (told,) = [r for r in caplog.records if "control 'c'" in r.getMessage()]
    assert told.levelno == logging.INFO
    assert told.getMessage() == (
        "control 'c' not checked: it looks at stream 'lines', of which there is no extract"
    )
    with Ledger(ledger, run_id="x", actor="x") as book:
        (event,) = [e.body for e in book.events() if e.event == "control.checked"]
    assert (event["name"], event["outcome"], event["found"]) == ("c", "not_checked", 0)
    stands = results(extracts, "vendors")
    assert stands == ({"c": stands["c"]} if control is REFERS else {})
    assert all(result["outcome"] == "not_checked" for result in stands.values())


def test_it_is_checked_once_it_comes(extracts: Extracts) -> None:
    controls = {"vendors": REFERS}
    extracts.run([VENDORS, vendor("V-1")], controls=controls)
    extracts.run([LINES, line(1, "J", "1", "V-1")], controls=controls)
    assert results(extracts)["vendors"]["outcome"] == "passed"
    with pytest.raises(IntegrityError, match="control 'vendors' failed"):
        extracts.run([LINES, line(2, "J", "1", "V-2")], controls=controls)


def test_controls_of_other_streams_wait_and_slips_are_told(
    extracts: Extracts, caplog: pytest.LogCaptureFixture
) -> None:
    extracts.run(GOOD)
    caplog.set_level(logging.INFO)
    slip = {**BALANCE, "stream": "linse"}
    query = {"type": "sql", "query": "SELECT * FROM {linse} l, {vendros} v"}
    extracts.run(
        [VENDORS, vendor("V-1")], controls={"journals": BALANCE, "slip": slip, "query": query}
    )
    told = {r.getMessage(): r.levelno for r in caplog.records if "control" in r.getMessage()}
    assert told == {
        "control 'slip' not checked: it looks at stream 'linse', of which there is no extract; did "
        "you mean 'lines'?": logging.WARNING,
        "control 'query' not checked: it looks at streams 'linse' and 'vendros', of which there is "
        "no extract; did you mean 'lines'?": logging.WARNING,
    }
    assert extracts.manifest("vendors")["controls"] == []


def test_what_refers_to_a_stream_that_never_came_cannot_be_checked(extracts: Extracts) -> None:
    with pytest.raises(IntegrityError, match="there is no extract of vendors"):
        extracts.run([LINES, line(1, "J", "1", "V-1")], controls={"vendors": REFERS})


@pytest.mark.parametrize("tables", ["{vendros} v, {lines} l", "{lines} l, {vendros} v"])
def test_a_query_needs_all_its_streams_in_whatever_order_it_names_them(
    extracts: Extracts, tables: str
) -> None:
    extracts.run([VENDORS, vendor("V-1")])
    controls = {"query": {"type": "sql", "query": f"SELECT * FROM {tables}"}}  # noqa: S608 - constants
    message = "cannot be checked, because there is no extract of vendros; did you mean 'vendors'"
    with pytest.raises(IntegrityError, match=message):
        extracts.run(GOOD, controls=controls)
    controls["query"]["on_failure"] = "warn"
    extracts.run(GOOD, controls=controls)
    assert results(extracts)["query"]["outcome"] == "warned"
    extracts.run([VENDORS, vendor("V-2")], controls=controls)
    assert results(extracts, "vendors") == {}
