"""`max_drop` and `not_empty`: rows and totals beside those of the extract before."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.journal import GOOD, LINES, VENDORS, gone, line, results, vendor
from tests.target.messages import record, schema

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.controls.drops import MaxDrop
from target_tableau_hyper.extract.figures import Figures

if TYPE_CHECKING:
    from tests.target.harness import Extracts


def many(count: int, amount: str = "1.00") -> list[dict[str, Any]]:
    return [LINES, *(line(i, f"J{i}", amount) for i in range(count))]


def drop(**more: object) -> dict[str, Any]:
    return {"drop": {"type": "max_drop", "stream": "lines", "min_rows": 0, **more}}


def test_a_table_that_shrinks_too_much_is_held_up_and_can_be_accepted(extracts: Extracts) -> None:
    controls = {"drop": {"type": "max_drop", "stream": "*", "rows": 0.2, "totals": {}}}
    config: dict[str, Any] = {"controls": controls, "load_method": "overwrite"}
    extracts.run(many(100), **config)
    extracts.run(many(120), **config)
    extracts.run(many(100), **config)
    with pytest.raises(IntegrityError, match="'drop: lines' failed: lines fell from 100 to 79"):
        extracts.run(many(79), **config)
    extracts.run(many(79), **config, accept_drop=["lines"])
    assert "accepted" in results(extracts)["drop: lines"]["saying"]
    extracts.run(many(1), **config)  # fewer than a hundred rows may go at once


def test_totals_that_fall(extracts: Extracts) -> None:
    drop = {"type": "max_drop", "stream": "lines", "totals": {"amount": "0.5"}, "min_rows": 0}
    extracts.run([LINES, line(1, "J", "-100")], controls={"drop": drop})
    extracts.run([LINES, line(1, "J", "-50")], controls={"drop": drop})
    with pytest.raises(IntegrityError, match=r"the sum of amount of lines fell by 52\.0 %"):
        extracts.run([LINES, line(1, "J", "-24")], controls={"drop": drop})


@pytest.mark.parametrize(
    ("before", "after", "fall"),
    [
        pytest.param("2000", "-2000", "200.0", id="turns negative"),
        pytest.param("-2000", "2000", "200.0", id="turns positive"),
        pytest.param("-2000", "-1000", "50.0", id="a debt shrinks"),
        pytest.param("2000", "1800", None, id="as much as is allowed"),
        pytest.param("-2000", "-9000", None, id="a debt grows"),
        pytest.param("0", "-9000", None, id="from nothing"),
    ],
)
def test_a_total_falls_towards_zero_and_past_it(before: str, after: str, fall: str | None) -> None:
    check = MaxDrop("lines", totals={"amount": Decimal("0.1")}, min_rows=0)
    was, now = (Figures(1, {"amount": Decimal(total)}) for total in (before, after))
    expected = [f"the sum of amount of lines fell by {fall} %"] if fall else []
    assert check.falls(was, now) == expected


def test_a_table_without_rows(extracts: Extracts) -> None:
    controls = {"rows": {"type": "not_empty", "stream": "lines"}}
    with pytest.raises(IntegrityError, match="lines has 0 rows, fewer than 1"):
        extracts.run([LINES], controls=controls)
    extracts.run(GOOD, controls=controls)
    controls["rows"]["min_rows"] = 4  # type: ignore[assignment]
    with pytest.raises(IntegrityError, match="3 rows, fewer than 4"):
        extracts.run(GOOD, controls=controls)


# -- rows that are deleted softly ------------------------------------------------------------------


def test_rows_that_are_deleted_softly_are_gone(extracts: Extracts) -> None:
    config: dict[str, Any] = {"controls": drop(rows=0.2), "hard_delete": False}
    extracts.run(many(10), **config)
    with pytest.raises(IntegrityError, match="lines fell from 10 to 7 rows"):
        extracts.run([LINES, *map(gone, range(3))], **config)
    extracts.run([LINES, *map(gone, range(3))], **config, accept_drop=["lines"])
    extracts.run([LINES, gone(3)], **config)
    with pytest.raises(IntegrityError, match="lines fell from 6 to 4 rows"):
        extracts.run([LINES, gone(4), gone(5)], **config)


def test_so_are_their_amounts(extracts: Extracts) -> None:
    config: dict[str, Any] = {"controls": drop(totals={"amount": 0.2}), "hard_delete": False}
    extracts.run([LINES, line(1, "J", "100"), line(2, "J", "24"), line(3, "J", "10")], **config)
    with pytest.raises(IntegrityError, match=r"the sum of amount of lines fell by 25\.4 %"):
        extracts.run([LINES, gone(2), gone(3)], **config)
    extracts.run([LINES, gone(2)], **config)
    extracts.run([LINES, gone(3)], **config)


def test_an_extract_of_before_soft_deletion_is_counted_as_it_is(extracts: Extracts) -> None:
    extracts.run(many(10))
    with pytest.raises(IntegrityError, match="lines fell from 10 to 7 rows"):
        extracts.run([LINES, *map(gone, range(3))], controls=drop(rows=0.2), hard_delete=False)


def test_few_rows_are_those_that_are_not_deleted(extracts: Extracts) -> None:
    config: dict[str, Any] = {"controls": drop(rows=0.2, min_rows=5), "hard_delete": False}
    extracts.run(many(5), **config)
    extracts.run([LINES, gone(0)], **config)
    extracts.run([LINES, *map(gone, range(1, 5))], **config)


def test_a_table_of_which_all_is_deleted_softly_is_empty(extracts: Extracts) -> None:
    controls = {"rows": {"type": "not_empty", "stream": "lines"}}
    extracts.run(many(2), controls=controls, hard_delete=False)
    extracts.run([LINES, gone(0)], controls=controls, hard_delete=False)
    assert results(extracts)["rows"]["checked"] == 1
    with pytest.raises(IntegrityError, match="lines has 0 rows, fewer than 1"):
        extracts.run([LINES, gone(1)], controls=controls, hard_delete=False)


def test_softly_deleted_rows_of_several_streams_and_controls(extracts: Extracts) -> None:
    controls = {**drop(stream="*", rows=0.5), "more": {**drop(rows=0.2)["drop"]}}
    config: dict[str, Any] = {"controls": controls, "hard_delete": False}
    extracts.run([*many(4), VENDORS, vendor("V-1"), vendor("V-2"), vendor("V-3")], **config)
    less = {"company": "usmf", "vendor": "V-1", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(IntegrityError) as caught:
        extracts.run([LINES, *map(gone, range(3)), VENDORS, record("vendors", less)], **config)
    assert "'drop: lines' failed: lines fell from 4 to 1 rows" in str(caught.value)
    assert "'more' failed: lines fell from 4 to 1 rows" in str(caught.value)
    assert "vendors" not in str(caught.value)


# -- columns of totals -----------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], GOOD], ids=["first run", "few rows before"])
def test_a_column_that_does_not_exist_is_told_before_there_is_anything_to_compare(
    extracts: Extracts, before: list[dict[str, Any]]
) -> None:
    extracts.run(before)
    controls = drop(totals={"amuont": 0.5}, min_rows=100)
    message = "control 'drop': stream 'lines' has no column 'amuont'; did you mean 'amount'"
    with pytest.raises(ConfigError, match=message):
        extracts.run([LINES, line(9, "J", "1")], controls=controls)


def test_totals_of_every_stream_are_those_of_the_streams_that_have_the_column(
    extracts: Extracts,
) -> None:
    controls = drop(stream="*", totals={"amount": 0.5})
    first = [LINES, line(1, "J", "100"), VENDORS, vendor("V-1")]
    extracts.run(first, controls=controls)
    assert list(results(extracts)) == ["drop: lines"]
    assert results(extracts, "vendors") == {}
    with pytest.raises(IntegrityError, match=r"'drop: lines' failed: the sum of amount of lines"):
        extracts.run([LINES, line(1, "J", "1"), VENDORS, vendor("V-2")], controls=controls)


def test_a_column_of_totals_may_hold_no_amounts_in_another_stream(extracts: Extracts) -> None:
    controls = drop(stream="*", totals={"amount": 0.5})
    notes = schema("notes", {"id": {"type": "integer"}, "amount": {"type": "string"}})
    extracts.run([*GOOD, notes, record("notes", {"id": 1, "amount": "much"})], controls=controls)
    assert list(results(extracts)) == ["drop: lines"]
    assert results(extracts, "notes") == {}


def test_rows_of_every_stream_count_where_a_column_of_totals_is_missing(
    extracts: Extracts,
) -> None:
    config = {"controls": drop(stream="*", rows=0.2, totals={"amount": 0.5})}
    extracts.run([*GOOD, VENDORS, vendor("V-1")], **config)
    assert results(extracts, "vendors")["drop: vendors"]["outcome"] == "passed"
    with pytest.raises(IntegrityError, match="vendors fell from 1 to 0 rows"):
        extracts.run([VENDORS], **config, load_method="overwrite")


def test_a_column_of_totals_that_no_stream_has_is_told(
    extracts: Extracts, caplog: pytest.LogCaptureFixture
) -> None:
    extracts.run(GOOD, controls=drop(stream="*", totals={"amuont": 0.5}))
    assert (
        "control 'drop' looks at column 'amuont', of which no stream of this run has a sum; did "
        "you mean 'amount'?" in caplog.text
    )
