"""Records that do not fit are set aside, whole and private, and the others go on."""

from __future__ import annotations

import json
import stat
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.journal import BALANCE, LINES, line
from tests.target.messages import record, schema, state

from pipeline_core.errors import DataError, IntegrityError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Extracts, Rows

SCHEMA = schema(
    "gl",
    {
        "id": {"type": "integer"},
        "day": {"type": ["null", "string"], "format": "date"},
        "amount": {"type": ["null", "number"]},
        "kind": {"type": ["null", "string"], "enum": ["a", "b", None]},
    },
    keys=["id"],
)


def row(number: Any, **values: Any) -> dict[str, Any]:  # noqa: ANN401
    return record("gl", {"id": number, **values})


GOOD = [row(1, day="2024-01-01", amount=Decimal("1.50"), kind="a"), row(2, day="2024-01-02")]


@pytest.fixture
def extracts(extracts: Extracts) -> Extracts:
    extracts.config["on_bad_record"] = "quarantine"
    return extracts


def aside(extracts: Extracts) -> list[dict[str, Any]]:
    lines = []
    for path in sorted((extracts.directory / "quarantine").glob("*.jsonl")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        lines += [json.loads(line, parse_float=Decimal) for line in path.read_text().splitlines()]
    return lines


def test_what_does_not_fit_is_set_aside_with_why(
    extracts: Extracts,
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MELTANO_RUN_ID", "run-1")
    bad = [
        row(3, day="soon", amount=Decimal("0.10")),
        row(4, amount="canary-amount"),
        row(5, kind="c"),
        row("six"),
        record("gl", {"day": "2024-01-01"}),
        row(None),
    ]
    config = {"ledger_path": str(tmp_path / "ledger.db")}
    assert extracts.run([SCHEMA, *bad, *GOOD, state({"run": 1})], **config) == ['{"run":1}']
    assert [found[0] for found in rows(extracts.path("gl"))] == [1, 2]
    lines = aside(extracts)
    assert {line["key"]["id"] for line in lines} == {3, 4, 5, "six", None}
    by_key = {line["key"]["id"]: line for line in lines}
    assert by_key[3]["record"] == {"id": 3, "day": "soon", "amount": Decimal("0.10")}
    assert (by_key[3]["column"], by_key[3]["run_id"]) == ("day", "run-1")
    assert "the text is no date" in by_key[3]["reason"]
    assert by_key[5]["reason"] == "kind breaks the schema's 'enum'"
    assert extracts.manifest("gl")["quarantined"] == len(lines) == 6
    assert "stream 'gl': 6 records do not fit and are not stored" in caplog.text
    assert "canary" not in caplog.text
    with Ledger(tmp_path / "ledger.db", run_id="x", actor="x") as ledger:
        (event,) = [e.body for e in ledger.events() if e.event == "records.quarantined"]
    assert event == {"stream": "gl", "records": 6, "file": "quarantine/gl.run-1.jsonl"}


def test_they_have_arrived_all_the_same(extracts: Extracts) -> None:
    figures = {"records": 2, "deletes": 0, "totals": {"amount": "3.00"}}
    audit = {"run_id": "r", "complete": True, "streams": {"gl": figures}}
    bad = row(3, day="soon", amount=Decimal("1.50"))
    extracts.run([SCHEMA, GOOD[0], bad, state({"audit": audit})])
    assert extracts.manifest("gl")["totals"] == {"amount": "1.50"}


@pytest.mark.parametrize("method", ["upsert", "overwrite"])
def test_the_row_that_was_there_stays_as_it_was(
    extracts: Extracts, rows: Rows, method: str
) -> None:
    """It is neither changed nor taken for one that is gone."""
    extracts.run([SCHEMA, *GOOD, row(3)], load_method=method)
    whole = [
        {**message, "version": 7} for message in (GOOD[0], row(2, day="soon", amount=Decimal(9)))
    ]
    activate = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 7}
    extracts.run([SCHEMA, *whole, activate], load_method=method)
    found = {row[0]: str(row[1]) for row in rows(extracts.path("gl"))}
    assert found == {1: "2024-01-01", 2: "2024-01-02"}


WIDE = 2**70


@pytest.mark.parametrize("method", ["upsert", "overwrite"])
def test_a_row_with_a_key_of_more_than_64_bits_stays(
    extracts: Extracts, rows: Rows, method: str
) -> None:
    extracts.run([SCHEMA, row(1), row(WIDE, day="2024-01-01")], load_method=method)
    whole = [{**message, "version": 7} for message in (row(1), row(WIDE, day="soon"))]
    activate = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 7}
    extracts.run([SCHEMA, *whole, activate], load_method=method)
    assert [int(found[0]) for found in rows(extracts.path("gl"))] == [1, WIDE]


@pytest.mark.parametrize("bad", ["x", 10**40], ids=["no integer", "too many digits"])
def test_an_integer_of_more_than_64_bits_is_not_set_aside_with_a_bad_one(
    extracts: Extracts, rows: Rows, bad: object
) -> None:
    numbers = schema("gl", {"id": {"type": "integer"}, "n": {"type": "integer"}}, keys=["id"])
    extracts.run([numbers, row(1, n=WIDE), row(2, n=bad), row(3, n=-WIDE), row(4, n=bad)])
    found = {int(key): int(value) for key, value in rows(extracts.path("gl"))}
    assert found == {1: WIDE, 3: -WIDE}
    assert [line["key"] for line in aside(extracts)] == [{"id": 4}, {"id": 2}]


@pytest.mark.parametrize("config", [{}, {"stream_maps": {"gl": {"fixed": "'x'"}}}])
@pytest.mark.parametrize("stray", [record("gl", {"day": "2024-01-01"}), row(None), row(10**40)])
def test_one_without_a_key_could_be_any_so_no_row_passes_for_absent(
    extracts: Extracts, rows: Rows, stray: dict[str, Any], config: dict[str, Any]
) -> None:
    extracts.run([SCHEMA, row(1), row(2), row(3)])
    whole = [{**message, "version": 7} for message in (row(1, day="2024-01-01"), stray)]
    activate = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 7}
    extracts.run([SCHEMA, *whole, activate], **config)
    found = {row[0]: str(row[1]) for row in rows(extracts.path("gl"))}
    assert found == {1: "2024-01-01", 2: "None", 3: "None"}
    extracts.run([SCHEMA, whole[0], activate])
    assert [row[0] for row in rows(extracts.path("gl"))] == [1]


def test_of_very_many_the_keys_are_not_kept_so_no_row_passes_for_absent(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run([SCHEMA, *(row(i) for i in range(6))])
    activate = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 7}
    whole = [{**message, "version": 7} for message in (row(1), *(row(i, day="x") for i in (2, 3)))]
    monkeypatch.setattr("target_tableau_hyper.extract.quarantine.MOST_KEYS", 1)
    extracts.run([SCHEMA, *whole, activate])
    assert [found[0] for found in rows(extracts.path("gl"))] == [0, 1, 2, 3, 4, 5]
    monkeypatch.setattr("target_tableau_hyper.extract.quarantine.MOST_KEYS", 2)
    extracts.run([SCHEMA, *whole, activate])
    assert [found[0] for found in rows(extracts.path("gl"))] == [1, 2, 3]


def test_it_is_kept_without_what_the_target_adds(extracts: Extracts) -> None:
    extracts.run([SCHEMA, row(3, day="soon")], add_record_metadata=True)
    assert [line["record"] for line in aside(extracts)] == [{"id": 3, "day": "soon"}]


def test_many_of_them_cost_one_pass(extracts: Extracts, rows: Rows) -> None:
    messages = [row(i, day="soon" if i % 2 else "2024-01-01") for i in range(6_000)]
    extracts.run([SCHEMA, *messages])
    assert len(rows(extracts.path("gl"))) == 3_000
    assert len(aside(extracts)) == 3_000


def test_a_run_of_nothing_else_changes_nothing(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, *GOOD])
    sealed = extracts.manifest("gl")["sha256"]
    extracts.run([SCHEMA, row(9, day="soon")])
    assert extracts.manifest("gl")["sha256"] == sealed
    assert extracts.manifest("gl")["quarantined"] == 1
    assert len(rows(extracts.path("gl"))) == 2


def test_a_run_that_fails_leaves_nothing_there(extracts: Extracts) -> None:
    with pytest.raises(DataError):
        extracts.run([SCHEMA, row(9, day="soon"), "no JSON"])
    assert not (extracts.directory / "quarantine").exists()


def test_what_was_set_aside_outlives_the_control_that_it_makes_fail(
    extracts: Extracts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The half of the entry that is missing lies in the file: the control must not hide that."""
    monkeypatch.setenv("MELTANO_RUN_ID", "run-1")
    half = record("lines", {"id": 2, "entry": "J1", "company": "usmf", "amount": "-5,00"})
    ledger = tmp_path / "ledger.db"
    with pytest.raises(IntegrityError, match="do not balance") as caught:
        extracts.run(
            [LINES, line(1, "J1", "5"), half],
            controls={"journals": BALANCE},
            ledger_path=str(ledger),
        )
    assert str(caught.value).endswith(
        ". Records that do not fit are not among these rows: 1 of lines (see "
        "quarantine/lines.run-1.jsonl). Nothing was replaced or published"
    )
    assert [one["record"]["amount"] for one in aside(extracts)] == ["-5,00"]
    assert "'lines': 1 records do not fit and are not stored" in caplog.text
    with Ledger(ledger, run_id="x", actor="x") as book:
        assert [e.event for e in book.events()][-3:] == [
            "records.quarantined",
            "control.checked",
            "run.failed",
        ]


def test_half_a_surrogate_pair_is_no_json_and_ends_the_run(extracts: Extracts) -> None:
    texts = schema("texts", {"id": {"type": "integer"}, "t": {"type": "string"}}, keys=["id"])
    line = '{"type":"RECORD","stream":"texts","record":{"id":1,"t":"\\ud800"}}'
    with pytest.raises(DataError, match="line 2 of the input is no JSON"):
        extracts.run([texts, line])


def test_without_it_the_run_ends(extracts: Extracts) -> None:
    with pytest.raises(DataError, match="column 'day', key"):
        extracts.run([SCHEMA, row(3, day="soon")], on_bad_record="fail")
