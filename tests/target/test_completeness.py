"""What the tap says it sent, against what arrived: every way in which the two can part."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import audit, record, schema, state

from pipeline_core.errors import IntegrityError
from target_tableau_hyper.audit import Completeness, Tally
from target_tableau_hyper.extract.schema import Column, Kind

if TYPE_CHECKING:
    from tests.target.harness import Extracts, Rows


SCHEMA = schema("gl", {"id": {"type": "integer"}, "amount": {"type": ["null", "number"]}})
R1 = record("gl", {"id": 1, "amount": Decimal("-0.05")})
R2 = record("gl", {"id": 2, "amount": Decimal("100.00")})
GONE = record("gl", {"id": 1, "_sdc_deleted_at": "2024-01-01T00:00:00Z"})
ACTIVATE = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 1}


def figures(records: int, total: str, deletes: int = 0) -> dict[str, Any]:
    return {"gl": {"records": records, "deletes": deletes, "totals": {"amount": total}}}


def sent(run: str, records: int, total: str, *, complete: bool = False) -> dict[str, Any]:
    return audit(run, figures(records, total), complete=complete)


FRESH = audit("r1", {}, complete=False)
DONE = sent("r1", 2, "99.95", complete=True)
STALE = sent("r0", 5, "7.50", complete=True)
EMPTY = audit("r0", {}, complete=True)
FOREIGN = state({"bookmarks": {"gl": 1}})


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([FRESH, SCHEMA, R1, R2, DONE], id="as agreed"),
        pytest.param([SCHEMA, R1, R2, DONE], id="figures only at the end"),
        pytest.param(
            [FRESH, SCHEMA, R1, sent("r1", 1, "-0.05"), R2, DONE], id="figures in between"
        ),
        pytest.param([STALE, FRESH, SCHEMA, R1, R2, DONE], id="echo of an earlier run first"),
        pytest.param([STALE, STALE, SCHEMA, R1, R2, DONE], id="echo twice"),
        pytest.param([FRESH, SCHEMA, R1, R2, sent("r1", 2, "99.950", complete=True)], id="zeros"),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, GONE, audit("r1", figures(3, "99.95", 1), complete=True)],
            id="deletion counts and adds nothing",
        ),
        pytest.param([FRESH, audit("r1", {}, complete=True)], id="nothing to send"),
        pytest.param(
            [FRESH, SCHEMA, sent("r1", 0, "0"), R1, R2, DONE], id="stream announced with zeros"
        ),
        pytest.param([SCHEMA, R1, R2, FOREIGN], id="foreign tap without figures"),
        pytest.param([SCHEMA, R1, R2], id="foreign tap without STATE"),
    ],
)
def test_complete_input_is_loaded(extracts: Extracts, messages: list[dict[str, Any]]) -> None:
    extracts.run(messages)
    if R1 in messages:
        assert extracts.manifest("gl")["rows"] in {1, 2}


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        pytest.param([FRESH, SCHEMA, R1, DONE], "gl: 2 records sent, 1 arrived", id="row lost"),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, R2, DONE], "gl: 2 records sent, 3 arrived", id="row twice"
        ),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, sent("r1", 2, "99.96", complete=True)],
            "gl.amount: sum 99.96 sent, 99.95 arrived",
            id="wrong by a cent",
        ),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, audit("r1", figures(2, "99.95", 1), complete=True)],
            "1 deletes sent, 0 arrived",
            id="deletion lost",
        ),
        pytest.param(
            [FRESH, SCHEMA, R1, sent("r1", 2, "99.95"), R2, DONE], "arrived", id="wrong in between"
        ),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, audit("r1", {}, complete=True)], "arrived", id="not counted"
        ),
        pytest.param(
            [
                FRESH,
                SCHEMA,
                R1,
                R2,
                audit("r1", {**figures(2, "99.95"), "x": {"records": 1}}, complete=True),
            ],
            "x: 1 records sent, 0 arrived",
            id="stream lost",
        ),
        pytest.param(
            [FRESH, SCHEMA, R1, R2, sent("r1", 2, "much", complete=True)],
            "the tap's sum is no number",
            id="sum is no number",
        ),
        pytest.param([FRESH, SCHEMA, R1, R2, sent("r1", 2, "99.95")], "ended before", id="no end"),
        pytest.param([FRESH], "ended before", id="tap died at once"),
        pytest.param([FRESH, SCHEMA, R1], "ended before", id="tap died in mid-stream"),
        pytest.param([STALE], "ended before", id="only an echo of an earlier run"),
        pytest.param([STALE, SCHEMA], "ended before", id="echo and a SCHEMA"),
        pytest.param([SCHEMA, EMPTY], "ended before", id="only an echo of a run without rows"),
        pytest.param([FRESH, STALE, SCHEMA], "ended before", id="echo after the beginning"),
        pytest.param([SCHEMA, R1, R2, DONE, R2], "ended before", id="row after the end"),
        pytest.param([SCHEMA, R1, R2, DONE, SCHEMA], "ended before", id="SCHEMA after the end"),
        pytest.param([SCHEMA, R1, R2, DONE, ACTIVATE], "ended before", id="activation after it"),
        pytest.param([SCHEMA, R1, R2, DONE, FOREIGN], "ended before", id="other STATE after it"),
        pytest.param(
            [SCHEMA, R1, sent("r1", 1, "-0.05"), R2, sent("r2", 2, "99.95", complete=True)],
            "mixes the runs r1 and r2",
            id="two runs",
        ),
    ],
)
def test_l01_incomplete_input_is_refused_and_leaves_nothing(
    extracts: Extracts, messages: list[dict[str, Any]], why: str
) -> None:
    with pytest.raises(IntegrityError, match=why):
        extracts.run(messages)
    assert list(extracts.directory.glob("*.hyper")) == []
    assert extracts.left_over() == []


def test_l01_refused_input_leaves_the_last_good_extract(extracts: Extracts, rows: Rows) -> None:
    extracts.run([FRESH, SCHEMA, R1, R2, DONE])
    before = extracts.path("gl").stat()
    with pytest.raises(IntegrityError):
        extracts.run([FRESH, SCHEMA, record("gl", {"id": 1, "amount": 5})])
    assert extracts.path("gl").stat().st_ino == before.st_ino
    assert len(rows(extracts.path("gl"))) == 2


@pytest.mark.parametrize(
    ("mode", "messages", "loads"),
    [
        pytest.param(
            "complete", [FRESH, SCHEMA, R1, DONE], True, id="complete: figures may differ"
        ),
        pytest.param("complete", [FRESH, SCHEMA, R1], False, id="complete: but the end must come"),
        pytest.param("complete", [STALE], False, id="complete: an echo is no end"),
        pytest.param("complete", [STALE, SCHEMA, R1], False, id="complete: echo, then death"),
        pytest.param("off", [FRESH, SCHEMA, R1], True, id="off: anything goes"),
        pytest.param("off", [SCHEMA, R1, R2, sent("r1", 9, "1")], True, id="off: figures differ"),
    ],
)
def test_modes(
    extracts: Extracts,
    mode: str,
    messages: list[dict[str, Any]],
    loads: bool,  # noqa: FBT001
) -> None:
    if loads:
        extracts.run(messages, completeness=mode)
        assert extracts.path("gl").exists()
    else:
        with pytest.raises(IntegrityError):
            extracts.run(messages, completeness=mode)


def test_sums_are_those_before_any_stream_map(extracts: Extracts) -> None:
    maps = {"gl": {"__filter__": "id > 1"}}
    extracts.run([FRESH, SCHEMA, R1, R2, DONE], stream_maps=maps)
    assert extracts.manifest("gl")["rows"] == 1


def test_sums_are_exact_beyond_the_default_precision_of_python() -> None:
    tally = Tally()
    tally.know([Column("n", Kind.NUMERIC), Column("t", Kind.TEXT)])
    for _ in range(2500):
        tally.add({"n": Decimal("12345678901234567890123456.123456789012"), "t": "5"})
    tally.add({"n": "0.000000000001"})
    tally.add({"n": None})
    tally.add({"n": 3})
    assert tally.total("n") == Decimal("30864197253086419725308640311.641972530001")
    assert tally.total("t") is None
    assert tally.records == 2503


def test_completeness_is_proved_only_by_a_tap_that_sends_figures() -> None:
    foreign = Completeness("strict")
    foreign.judge({"bookmarks": {}})
    assert foreign.finish() is False
    ours = Completeness("strict")
    ours.judge({"audit": {"run_id": "r", "complete": False, "streams": {}}})
    ours.judge({"audit": {"run_id": "r", "complete": True, "streams": {}}})
    assert ours.finish() is True
