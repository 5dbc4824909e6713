"""One company of one entity fails: the others are read, and the next run makes it good."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for
from tests.tap.test_resume import apply, keyed, without_mark

from contoso_sandbox.faults import Action, Asked, Fault, answer, dropped_column, garbage
from contoso_sandbox.faults import pages_of as pages
from pipeline_core.errors import (
    AuthError,
    BusyError,
    ConfigError,
    DataError,
    IntegrityError,
    PipelineError,
    ReaderGoneError,
    TransientError,
)
from tap_d365fo.access.auth import NoTokenError
from tap_d365fo.access.client import DeniedError
from tap_d365fo.access.retry import Backoff
from tap_d365fo.failures import PartitionFailure, is_down, is_fatal, summary
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

NAMES = ["PurchaseOrderLinesV2", "VendorGroups"]
LINES = "PurchaseOrderLinesV2"
LEDGER = "GeneralJournalEntryBiEntities"


def of_company(entity_set: str, company: str) -> Callable[[Asked], bool]:
    return lambda asked: (
        pages(entity_set)(asked)
        and f"dataAreaId eq '{company}'" in asked.options.get("$filter", "")
    )


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait_s", lambda *_, **__: 0.0)


def run_failing(
    config: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    state: dict[str, Any] | None = None,
) -> tuple[Output, PipelineError]:
    capsys.readouterr()
    with pytest.raises(PipelineError) as failed:
        TapD365FO(config=config, state=copy.deepcopy(state)).sync_all()
    return Output(capsys.readouterr().out), failed.value


@pytest.mark.parametrize("strategy", ["full", "etag_scan"])
@pytest.mark.parametrize(
    ("action", "code"),
    [
        pytest.param(answer(400), 78, id="rejected"),
        pytest.param(answer(403), 77, id="denied"),
        pytest.param(answer(503), 75, id="away"),
        pytest.param(garbage(), 65, id="garbage"),
        pytest.param(dropped_column("LineAmount"), 65, id="a column is missing"),
    ],
)
def test_the_others_are_read_and_the_next_run_converges(  # noqa: PLR0917 - fixtures and cases
    new_contoso: Callable[..., Contoso],
    run_tap: Callable[..., Output],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    strategy: str,
    action: Action,
    code: int,
) -> None:
    contoso = new_contoso()
    config = settings_for(
        contoso,
        entities=NAMES,
        snapshot_path=str(tmp_path),
        entity_settings={LINES: {"replication": strategy}},
    )
    contoso.d365.faults.add(Fault(action, on=of_company(LINES, "demf")))
    failing, error = run_failing(config, capsys)
    assert error.exit_code == code
    assert str(error).startswith(f"{LINES} [demf] could not be read: ")
    assert str(error).count("could not be read") == 1
    companies = {r["dataAreaId"] for r in failing.records(LINES)}
    assert companies >= set(contoso.world.companies) - {"demf"}
    assert [m["stream"] for m in failing.of("ACTIVATE_VERSION")] == ["VendorGroups"]
    assert not any(s["audit"]["complete"] for s in failing.states)

    contoso.d365.faults.clear()
    contoso.d365.requests.clear()
    healed = run_tap(config, state=failing.states[-1])
    assert healed.states[-1]["audit"]["complete"] is True
    fresh = run_tap({**config, "snapshot_path": str(tmp_path / "fresh")})
    together = apply(
        contoso, LINES, keyed(contoso, LINES, failing.records(LINES)), healed.records(LINES)
    )
    assert without_mark(together) == without_mark(keyed(contoso, LINES, fresh.records(LINES)))
    if strategy == "etag_scan":
        assert {r["dataAreaId"] for r in healed.records(LINES)} == {"demf"}
    else:  # with a version again: nothing is stitched together
        assert healed.counts[LINES] == fresh.counts[LINES]
        assert len(healed.of("ACTIVATE_VERSION", LINES)) == 1


def test_fail_fast_stops_at_once(
    new_contoso: Callable[..., Contoso], capsys: pytest.CaptureFixture[str]
) -> None:
    contoso = new_contoso()
    config = settings_for(
        contoso, entities=NAMES, on_partition_error="fail_fast", max_concurrency=1
    )
    contoso.d365.faults.add(Fault(answer(400), on=of_company(LINES, min(contoso.world.companies))))
    failing, error = run_failing(config, capsys)
    assert isinstance(error, ConfigError)
    assert failing.counts == {}
    assert "what could be read was sent" not in str(error)


def test_several_failures_are_one_sentence(
    new_contoso: Callable[..., Contoso], capsys: pytest.CaptureFixture[str]
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=NAMES)
    contoso.d365.faults.add(Fault(answer(400), on=pages(LINES)))
    failing, error = run_failing(config, capsys)
    others = len(contoso.world.companies) - 1
    assert f"({others} further partitions failed, too)" in str(error)
    assert failing.counts["VendorGroups"] > 0
    assert failing.counts[LINES] == 0


def test_a_failure_before_the_first_row_is_one_of_the_stream(
    new_contoso: Callable[..., Contoso],
    run_tap: Callable[..., Output],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``high_water`` counts what has settled before it reads; here the count fails."""
    contoso = new_contoso()
    config = settings_for(
        contoso, entities=[LEDGER, "VendorGroups"], entity_settings={LEDGER: {"lookback": 0}}
    )
    first = run_tap(config)
    contoso.world.advance(1)
    contoso.d365.faults.add(
        Fault(
            answer(400),
            on=lambda asked: asked.entity_set == LEDGER and "$count=true" in asked.query,
        )
    )
    failing, error = run_failing(config, capsys, first.states[-1])
    assert str(error).startswith(f"{LEDGER} could not be read: ")
    assert failing.counts == {"VendorGroups": first.counts["VendorGroups"]}
    assert failing.states[-1]["bookmarks"][LEDGER] == first.states[-1]["bookmarks"][LEDGER]
    contoso.d365.faults.clear()
    healed = run_tap(config, state=failing.states[-1])
    together = {r["SourceKey"] for o in (first, healed) for r in o.records(LEDGER)}
    assert together == {r["SourceKey"] for r in run_tap(config).records(LEDGER)}


def test_an_application_that_is_refused_everywhere_stops_the_run(
    new_contoso: Callable[..., Contoso], capsys: pytest.CaptureFixture[str]
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=NAMES, max_concurrency=1)
    contoso.d365.faults.add(Fault(answer(401), on=pages(LINES)))
    failing, error = run_failing(config, capsys)
    assert isinstance(error, AuthError)
    assert failing.counts["VendorGroups"] == 0


def test_too_many_deletions_in_one_company_leave_the_others(
    new_contoso: Callable[..., Contoso],
    run_tap: Callable[..., Output],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    contoso = new_contoso()
    config = settings_for(contoso, entities=[LINES], snapshot_path=str(tmp_path))
    first = run_tap(config)
    table = f'"{LINES}"'
    cursor = contoso.world.cursor()
    cursor.execute(f"DELETE FROM {table} WHERE lower(\"dataAreaId\") = 'demf' AND __rec_id % 2 = 0")  # noqa: S608
    cursor.execute(
        f"UPDATE {table} SET __rec_version = 99 WHERE __rec_id IN (SELECT min(__rec_id) "  # noqa: S608
        f'FROM {table} GROUP BY lower("dataAreaId"))'
    )
    second, error = run_failing(config, capsys, first.states[-1])
    assert isinstance(error, IntegrityError)
    companies = [r["dataAreaId"] for r in second.records(LINES)]
    assert sorted(companies) == sorted(set(contoso.world.companies) - {"demf"})
    third = run_tap({**config, "max_delete_fraction": 1}, state=second.states[-1])
    assert {r["dataAreaId"] for r in third.records(LINES)} == {"demf"}
    assert third.states[-1]["audit"]["streams"][LINES]["deletes"] > 10


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        pytest.param(AuthError("x"), True, id="no token"),
        pytest.param(DeniedError("x"), False, id="one entity is closed"),
        pytest.param(ReaderGoneError("x"), True, id="nobody reads"),
        pytest.param(KeyError("x"), True, id="a defect of ours"),
        pytest.param(OSError("x"), True, id="the machine"),
        pytest.param(TransientError("x"), False, id="away"),
        pytest.param(DataError("x"), False, id="broken data"),
        pytest.param(BusyError("x"), False, id="busy"),
    ],
)
def test_what_ends_the_run(error: Exception, fatal: bool) -> None:  # noqa: FBT001
    assert is_fatal(error) is fatal


def test_the_summary_is_of_the_first_kind() -> None:
    failures = [
        PartitionFailure("A", "usmf", TransientError("it is away")),
        PartitionFailure("B", None, DataError("it is broken")),
    ]
    error = summary(failures)
    assert isinstance(error, TransientError)
    assert str(error) == (
        "A [usmf] could not be read: it is away (1 further partition failed, too); what could be "
        "read was sent and its state is kept"
    )
    assert str(summary(failures[1:])).startswith("B could not be read: it is broken; what")


def test_without_a_token_no_other_partition_is_tried() -> None:
    assert is_fatal(NoTokenError("Entra ID does not answer"))
    assert not is_fatal(TransientError("one page"))


@pytest.mark.parametrize(
    ("errors", "in_a_row", "down"),
    [
        pytest.param([TransientError("x")] * 8, 8, True, id="eight in a row"),
        pytest.param([TransientError("x")] * 7, 7, False, id="seven"),
        pytest.param([TransientError("x")] * 9, 3, False, id="some were read in between"),
        pytest.param([*[TransientError("x")] * 7, DataError("y")], 8, False, id="it answers"),
    ],
)
def test_an_environment_that_never_answers_counts_as_down(
    errors: list[Exception],
    in_a_row: int,
    down: bool,  # noqa: FBT001 - a case of the table
) -> None:
    failures = [PartitionFailure("VendorsV2", None, error) for error in errors]
    assert is_down(failures, in_a_row=in_a_row) is down
