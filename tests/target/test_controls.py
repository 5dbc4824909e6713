"""Controls: what they find, what they hold up, and when they look."""

from __future__ import annotations

import logging
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.target.harness import Extracts
from tests.target.journal import (
    BALANCE,
    GOOD,
    LINES,
    REFERS,
    SHORT,
    VENDORS,
    gone,
    line,
    results,
    vendor,
)
from tests.target.messages import record, schema, state

from pipeline_core.errors import ConfigError, IntegrityError
from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.target.harness import Rows, Tableau

# -- balance ---------------------------------------------------------------------------------------


def test_entries_that_balance_pass_and_the_manifest_says_so(extracts: Extracts) -> None:
    extracts.run(GOOD, controls={"journals": BALANCE})
    found = results(extracts)["journals"]
    assert (found["outcome"], found["checked"], found["found"]) == ("passed", 1, 0)


def test_an_entry_short_of_a_cent_holds_everything_up(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    config = {**tableau.config, "controls": {"journals": BALANCE}}
    extracts.run([*GOOD, state({"run": 1})], **config)
    before = extracts.path("lines").read_bytes()
    with pytest.raises(IntegrityError) as caught:
        extracts.run([*SHORT, VENDORS, vendor("V-1"), state({"run": 2})], **config)
    assert caught.value.exit_code == 70
    assert str(caught.value) == (
        "control 'journals' failed: 1 of 2 entries of lines by company, entry do not balance (the "
        "first: usmf, J2); lines are missing, doubled or wrong. Nothing was replaced or published"
    )
    assert "0.01" not in str(caught.value)
    assert extracts.said == ""
    assert extracts.path("lines").read_bytes() == before
    assert not extracts.path("vendors").exists()
    assert [d.name for d in tableau.server.datasources()] == ["lines"]
    assert extracts.run([*SHORT, line(6, "J2", "-0.01"), state({"run": 3})], **config)
    assert len(rows(tableau.server.hyper_file("lines"))) == 6


def test_a_warning_lets_it_pass_and_is_told(
    extracts: Extracts, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    controls = {"journals": {**BALANCE, "on_failure": "warn"}}
    ledger = tmp_path / "ledger.db"
    extracts.run(SHORT, controls=controls, ledger_path=str(ledger))
    found = results(extracts)["journals"]
    assert (found["outcome"], found["found"]) == ("warned", 1)
    assert found["examples"] == [{"company": "usmf", "entry": "J2", "difference": "0.01"}]
    assert "control 'journals' warned: 1 of 1 entries" in caplog.text
    with Ledger(ledger, run_id="x", actor="x") as book:
        (event,) = [e.body for e in book.events() if e.event == "control.checked"]
    assert (event["outcome"], event["streams"]) == ("warned", ["lines"])


def test_a_tolerance_is_taken(extracts: Extracts) -> None:
    extracts.run(SHORT, controls={"journals": {**BALANCE, "tolerance": "0.01"}})
    with pytest.raises(IntegrityError):
        extracts.run(SHORT, controls={"journals": {**BALANCE, "tolerance": 0.009}})


def test_a_tolerance_may_be_tiny(extracts: Extracts) -> None:
    short = [LINES, line(1, "J", "1"), line(2, "J", "-0.9999995")]
    extracts.run(short, controls={"journals": {**BALANCE, "tolerance": "0.0000005"}})
    with pytest.raises(IntegrityError, match="do not balance"):
        extracts.run(short, controls={"journals": {**BALANCE, "tolerance": "0.0000004"}})


def test_entries_of_any_size_add_up_exactly(extracts: Extracts) -> None:
    huge = "9" * 36
    lines = [line(i, "J", huge) for i in range(20)]
    back = [line(100 + i, "J", f"-{huge}") for i in range(20)]
    extracts.run([LINES, *lines, *back], controls={"journals": BALANCE})
    with pytest.raises(IntegrityError, match=r"1 of 1 entries .* \(the first: usmf, J\)"):
        extracts.run([LINES, line(0, "J", huge[:-1] + "8")], controls={"journals": BALANCE})


def test_a_line_that_is_deleted_unbalances_its_entry_softly_too(extracts: Extracts) -> None:
    controls = {"journals": BALANCE}
    extracts.run(GOOD, controls=controls, hard_delete=False)
    with pytest.raises(IntegrityError, match="do not balance"):
        extracts.run([LINES, gone(3)], controls=controls, hard_delete=False)
    extracts.run([LINES, gone(1), gone(2), gone(3)], controls=controls, hard_delete=False)


def test_companies_in_either_case_are_one(extracts: Extracts) -> None:
    messages = [LINES, line(1, "J1", "1"), line(2, "j1", "-1", company="USMF")]
    extracts.run(messages, controls={"journals": BALANCE})
    assert results(extracts)["journals"]["checked"] == 1
    with pytest.raises(
        IntegrityError, match=r"2 of 2 entries .* \(the first: USMF, j1; usmf, J1\)"
    ):
        extracts.run(messages, controls={"journals": {**BALANCE, "ignore_case": False}})
    extracts.run([LINES, line(2, "j1", "-2", company="USMF")], controls={})
    with pytest.raises(IntegrityError, match=r"1 of 1 entries .* \(the first: USMF, J1\)"):
        extracts.run([LINES, line(3, "J1", "0")], controls={"journals": BALANCE})


def test_so_they_are_in_sums_of_any_size(extracts: Extracts) -> None:
    huge = "9" * 36
    one = [line(i, "J", huge) for i in range(20)]
    other = [line(100 + i, "j", f"-{huge}", company="USMF") for i in range(19)]
    with pytest.raises(IntegrityError, match=r"1 of 1 entries .* \(the first: USMF, J\)"):
        extracts.run([LINES, *one, *other], controls={"journals": BALANCE})


@pytest.mark.parametrize("name", ["total", "k0", "difference", "sum", 'a"b'])
def test_columns_may_have_any_name(extracts: Extracts, name: str) -> None:
    properties = {"id": {"type": "integer"}, name: {"type": "string"}, "v": {"type": "number"}}
    control = {"type": "balance", "stream": "odd", "amount": "v", "by": [name, "id"]}
    with pytest.raises(IntegrityError, match=r"1 of 1 entries .* \(the first: A, 1\)"):
        extracts.run(
            [schema("odd", properties), record("odd", {"id": 1, name: "A", "v": Decimal("0.1")})],
            controls={"odd": control},
        )


AMOUNT = st.decimals(min_value=-1000, max_value=1000, places=2)


@given(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), AMOUNT), max_size=12))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_does_not_balance_is_what_decimals_say(
    tmp_path_factory: pytest.TempPathFactory, lines: Sequence[tuple[str, Decimal]]
) -> None:
    extracts = Extracts(tmp_path_factory.mktemp("books") / "output")
    sums: dict[str, Decimal] = defaultdict(Decimal)
    messages = [LINES]
    for number, (entry, amount) in enumerate(lines):
        sums[entry] += amount
        messages.append(line(number, entry, str(amount)))
    extracts.run(messages, controls={"journals": {**BALANCE, "on_failure": "warn"}})
    found = results(extracts)["journals"]
    assert found["checked"] == len(sums)
    wrong = {entry: total for entry, total in sums.items() if total}
    assert found["found"] == len(wrong)
    told = {each["entry"]: Decimal(each["difference"]) for each in found["examples"]}
    assert told == wrong


# -- references ------------------------------------------------------------------------------------


def test_references_across_streams_of_one_run_and_of_earlier_ones(extracts: Extracts) -> None:
    controls = {"vendors": REFERS}
    extracts.run([VENDORS, vendor("V-1")], publish="none")
    sealed = extracts.path("vendors").read_bytes()
    extracts.run([LINES, line(1, "J", "1", "V-1"), line(2, "J", "1", "v-1")], controls=controls)
    assert results(extracts)["vendors"]["checked"] == 2
    with pytest.raises(IntegrityError, match=r"1 of 3 rows .* \(the first: usmf, V-2\)"):
        extracts.run([LINES, line(3, "J", "1", "V-2")], controls=controls)
    assert extracts.path("vendors").read_bytes() == sealed
    extracts.run([LINES, line(3, "J", "1", "V-2"), VENDORS, vendor("V-2")], controls=controls)
    assert results(extracts)["vendors"]["outcome"] == "passed"
    assert results(extracts, "vendors")["vendors"]["outcome"] == "passed"


def test_nothing_is_no_reference_unless_one_is_required(extracts: Extracts) -> None:
    messages = [VENDORS, vendor("V-1"), LINES, line(1, "J", "1", ""), line(2, "J", "1")]
    extracts.run(messages, controls={"vendors": REFERS})
    assert results(extracts)["vendors"]["checked"] == 0
    with pytest.raises(IntegrityError, match="2 of 2 rows"):
        extracts.run(messages, controls={"vendors": {**REFERS, "required": True}})


def test_case_counts_where_it_is_asked_to(extracts: Extracts) -> None:
    messages = [VENDORS, vendor("V-1"), LINES, line(1, "J", "1", "v-1")]
    extracts.run(messages, controls={"vendors": REFERS})
    with pytest.raises(IntegrityError, match="refer by company, vendor to rows"):
        extracts.run(messages, controls={"vendors": {**REFERS, "ignore_case": False}})


def test_a_vendor_that_is_removed_leaves_lines_behind(extracts: Extracts) -> None:
    controls = {"vendors": REFERS}
    extracts.run([VENDORS, vendor("V-1"), LINES, line(1, "J", "1", "V-1")], controls=controls)
    removed = {"company": "usmf", "vendor": "V-1", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    with pytest.raises(IntegrityError, match="control 'vendors' failed"):
        extracts.run([VENDORS, record("vendors", removed)], controls=controls)


def test_a_pass_of_before_does_not_speak_for_another_state(
    extracts: Extracts, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines passed; then vendors alone were changed, under a warning; lines come unchanged."""
    warns = {"vendors": {**REFERS, "on_failure": "warn"}}
    lines = [LINES, line(1, "J", "1", "V-1")]
    extracts.run([VENDORS, vendor("V-1"), *lines], controls=warns)
    removed = {"company": "usmf", "vendor": "V-1", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    extracts.run([VENDORS, record("vendors", removed)], controls=warns)
    assert results(extracts, "vendors")["vendors"]["outcome"] == "warned"
    caplog.clear()
    extracts.run(lines, controls=warns)
    assert "control 'vendors' warned" in caplog.text
    assert results(extracts)["vendors"]["outcome"] == "warned"


def test_nor_for_what_changed_while_it_was_off(extracts: Extracts) -> None:
    lines = [LINES, line(1, "J", "1", "V-1")]
    extracts.run([VENDORS, vendor("V-1"), *lines], controls={"vendors": REFERS})
    removed = {"company": "usmf", "vendor": "V-1", "_sdc_deleted_at": "2026-01-01T00:00:00Z"}
    extracts.run([VENDORS, record("vendors", removed)])
    with pytest.raises(IntegrityError, match="control 'vendors' failed"):
        extracts.run(lines, controls={"vendors": REFERS})


TYPES = {
    "text": {"type": "string"},
    "whole": {"type": "integer"},
    "money": {"type": "string", "format": "x-singer.decimal"},
    "flag": {"type": "boolean"},
    "day": {"type": "string", "format": "date"},
    "moment": {"type": "string", "format": "date-time"},
    "hour": {"type": "string", "format": "time"},
}
VALUES: dict[str, Any] = {
    "text": "1",
    "whole": 1,
    "money": "1.00",
    "flag": True,
    "day": "2026-01-01",
    "moment": "2026-01-01T00:00:00Z",
    "hour": "10:00:00",
}
ALIKE = [{"text"}, {"whole", "money"}, {"flag"}, {"day", "moment"}, {"hour"}]


def test_what_can_be_the_same_can_refer(extracts: Extracts) -> None:
    controls = {}
    for column in TYPES:
        for target in TYPES:
            if any({column, target} <= alike for alike in ALIKE):
                refers = {"stream": "odd", "refers_to": "odd", "refers_to_columns": [target]}
                name = f"{column} to {target}"
                controls[name] = {"type": "references", "columns": [column], **refers}
    extracts.run([schema("odd", TYPES, keys=["text"]), record("odd", VALUES)], controls=controls)
    assert {r["outcome"] for r in results(extracts, "odd").values()} == {"passed"}
    assert len(results(extracts, "odd")) == len(controls) == 11


@pytest.mark.parametrize(
    ("column", "target", "holds", "other"),
    [
        ("whole", "text", "BIGINT", "TEXT"),
        ("text", "day", "TEXT", "DATE"),
        ("day", "whole", "DATE", "BIGINT"),
        ("flag", "whole", "BOOLEAN", "BIGINT"),
        ("money", "moment", r"NUMERIC\(\d+,\d+\)", "TIMESTAMP WITH TIME ZONE"),
        ("hour", "moment", "TIME", "TIMESTAMP WITH TIME ZONE"),
        ("flag", "day", "BOOLEAN", "DATE"),
    ],
)
def test_what_never_is_the_same_refers_to_nothing(
    extracts: Extracts, column: str, target: str, holds: str, other: str
) -> None:
    control = {"type": "references", "stream": "odd", "columns": [column], "refers_to": "odd"}
    message = (
        f"control 'c': column '{column}' of stream 'odd' holds {holds} and '{target}' of 'odd' "
        f"{other}, which never are the same"
    )
    with pytest.raises(ConfigError, match=message):
        extracts.run(
            [schema("odd", TYPES, keys=["text"]), record("odd", VALUES)],
            controls={"c": {**control, "refers_to_columns": [target]}},
        )


# -- when they look --------------------------------------------------------------------------------


def test_what_did_not_change_is_not_looked_at_again(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    controls: dict[str, Any] = {"journals": BALANCE}
    monkeypatch.setenv("MELTANO_RUN_ID", "one")
    extracts.run(GOOD, controls=controls)
    monkeypatch.setenv("MELTANO_RUN_ID", "two")
    caplog.clear()
    extracts.run(GOOD, controls=controls)
    assert results(extracts)["journals"]["run_id"] == "one"
    assert "control" not in caplog.text
    controls["journals"]["tolerance"] = 0
    extracts.run(GOOD, controls=controls)
    assert results(extracts)["journals"]["run_id"] == "two"


def test_a_warning_is_repeated_while_it_lasts(
    extracts: Extracts, caplog: pytest.LogCaptureFixture
) -> None:
    controls = {"journals": {**BALANCE, "on_failure": "warn"}}
    extracts.run(SHORT, controls=controls)
    caplog.clear()
    extracts.run(SHORT, controls=controls)
    assert "control 'journals' warned" in caplog.text


def test_all_failures_are_told_at_once(extracts: Extracts) -> None:
    with pytest.raises(IntegrityError) as caught:
        extracts.run(
            [*SHORT, VENDORS],
            controls={"journals": BALANCE, "any": {"type": "not_empty", "stream": "vendors"}},
        )
    assert "control 'journals' failed" in str(caught.value)
    assert "control 'any' failed" in str(caught.value)
