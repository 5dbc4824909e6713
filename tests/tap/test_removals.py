"""A read of everything that does not end at once: rows that are gone leave the target all the same.

Nothing but ACTIVATE_VERSION tells of a row that went before a stream was first read, so no
interruption may swallow it, and none may let it sweep away what came in another run.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults.books import Keeper, Record, books
from tests.tap.conftest import Output, settings_for
from tests.tap.test_failures import of_company, run_failing

from contoso_sandbox.faults import Fault, answer
from tap_d365fo import removals
from tap_d365fo.access.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

CURSOR = "VendTransBiEntities"
SCAN = "VendorGroups"
LEDGER = "GeneralJournalEntryBiEntities"

#: How each strategy comes to read a set that the target holds already.
WAYS = [
    pytest.param(SCAN, {}, id="etag_scan"),
    pytest.param(CURSOR, {}, id="cursor"),
    pytest.param(SCAN, {"replication": "full"}, id="full"),
]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "wait_s", lambda *_, **__: 0.0)


def everything(contoso: Contoso, stream: str) -> dict[Any, Record]:
    """What the ledger holds of the companies that are read."""
    return books(contoso, stream, "usmf") | books(contoso, stream, "demf")


def filled(contoso: Contoso, run_tap: RunTap, config: dict[str, Any], stream: str) -> Keeper:
    """A target that holds all rows, of which F&O then loses one a company."""
    target = Keeper(contoso)
    target.take(run_tap(config).messages)
    contoso.world.cursor().execute(
        f'DELETE FROM "{stream}" WHERE __rec_id IN (SELECT min(__rec_id) FROM "{stream}" '  # noqa: S608
        'GROUP BY lower("dataAreaId"))'
    )
    assert target.rows(stream) != everything(contoso, stream)
    return target


def configured(contoso: Contoso, folder: Path, stream: str, **settings: object) -> dict[str, Any]:
    return settings_for(
        contoso,
        entities=[stream],
        companies=["usmf", "demf"],
        snapshot_path=str(folder),
        entity_settings={stream: settings},
        max_concurrency=1,
    )


def marks(output: Output, stream: str) -> list[str | None]:
    """What the last state remembers of each company."""
    partitions = output.states[-1]["bookmarks"][stream]["partitions"]
    return [partition.get(removals.REMOVAL) for partition in partitions]


@pytest.mark.parametrize(("stream", "settings"), WAYS)
def test_a_refresh_that_one_company_fails_is_made_good(  # noqa: PLR0917 - fixtures and cases
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    stream: str,
    settings: dict[str, Any],
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path, stream, **settings)
    target = filled(contoso, run_tap, config, stream)
    contoso.d365.faults.add(Fault(answer(403), on=of_company(stream, "demf")))
    failing, _ = run_failing(config, capsys)
    target.take(failing.messages)
    assert failing.of("ACTIVATE_VERSION") == []
    contoso.d365.faults.clear()
    output = run_tap(config, state=failing.states[-1])
    target.take(output.messages)
    if output.of("ACTIVATE_VERSION") == []:  # a read in two pieces has no version
        output = run_tap(config, state=output.states[-1])
        target.take(output.messages)
    assert len(output.of("ACTIVATE_VERSION")) == 1
    assert target.rows(stream) == everything(contoso, stream)
    assert set(marks(output, stream)) == {None}
    quiet = run_tap(config, state=output.states[-1])
    if not settings:
        assert quiet.of("ACTIVATE_VERSION") == [], "once is enough"


@pytest.mark.parametrize(("stream", "settings"), WAYS[:2])
def test_killed_at_any_moment_the_rows_that_are_gone_leave_in_the_end(
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    tmp_path: Path,
    stream: str,
    settings: dict[str, Any],
) -> None:
    """Once in the refresh, and once more in the run that makes it good."""
    contoso = new_contoso()
    config = configured(contoso, tmp_path, stream, **settings)
    target = filled(contoso, run_tap, config, stream)
    expected = everything(contoso, stream)
    refresh = run_tap(config)
    for cut in _states(refresh)[1:-2]:
        held = copy.deepcopy(target)
        state = _killed(refresh, cut, held)
        healed = run_tap(config, state=copy.deepcopy(state))
        held.take(healed.messages)
        assert removals.DUE in marks(healed, stream)
        again = run_tap(config, state=copy.deepcopy(healed.states[-1]))
        assert len(again.of("ACTIVATE_VERSION")) == 1
        for second in _moments(again):
            kept = copy.deepcopy(held)
            state = _killed(again, second, kept)
            for _ in range(2):
                output = run_tap(config, state=copy.deepcopy(state))
                kept.take(output.messages)
                state = output.states[-1]
            assert kept.rows(stream) == expected
            assert set(marks(output, stream)) == {None}


def _states(output: Output) -> list[int]:
    return [i for i, message in enumerate(output.messages) if message["type"] == "STATE"]


def _moments(output: Output) -> list[int]:
    """Half way through the rows, and behind ACTIVATE_VERSION, before any STATE tells of it."""
    kinds = [message["type"] for message in output.messages]
    return [len(kinds) // 2, kinds.index("ACTIVATE_VERSION")]


def _killed(output: Output, cut: int, target: Keeper) -> dict[str, Any]:
    """Let the target take what came up to here; returns the last state of it."""
    target.take(output.messages[: cut + 1])
    states = [m["value"] for m in output.messages[: cut + 1] if m["type"] == "STATE"]
    value: dict[str, Any] = states[-1]
    return value


def test_another_filter_that_one_company_fails_is_made_good(
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    contoso = new_contoso()
    config = configured(contoso, tmp_path, CURSOR)
    target = Keeper(contoso)
    first = run_tap(config)
    target.take(first.messages)
    narrow = configured(contoso, tmp_path, CURSOR, filter="Voucher ne ''")
    contoso.world.cursor().execute(f'DELETE FROM "{CURSOR}" WHERE __rec_id % 7 = 0')  # noqa: S608
    contoso.d365.faults.add(Fault(answer(403), on=of_company(CURSOR, "demf")))
    failing, _ = run_failing(narrow, capsys, first.states[-1])
    target.take(failing.messages)
    assert target.rows(CURSOR) != everything(contoso, CURSOR)
    contoso.d365.faults.clear()
    state = failing.states[-1]
    for _ in range(2):
        output = run_tap(narrow, state=state)
        target.take(output.messages)
        state = output.states[-1]
    assert target.rows(CURSOR) == everything(contoso, CURSOR)


def test_companies_that_are_left_out_put_it_off(
    new_contoso: Callable[..., Contoso], run_tap: RunTap, tmp_path: Path
) -> None:
    """What is due is told when they are read again; until then their rows stay."""
    contoso = new_contoso()
    both = configured(contoso, tmp_path, CURSOR)
    target = Keeper(contoso)
    first = run_tap(both)
    target.take(first.messages)
    contoso.world.cursor().execute(f'DELETE FROM "{CURSOR}" WHERE __rec_id % 7 = 0')  # noqa: S608
    one = {**configured(contoso, tmp_path, CURSOR, filter="Voucher ne ''"), "companies": ["usmf"]}
    state = first.states[-1]
    for _ in range(2):
        output = run_tap(one, state=state)
        target.take(output.messages)
        state = output.states[-1]
        assert output.of("ACTIVATE_VERSION") == []
    assert output.counts[CURSOR] < first.counts[CURSOR] / 2, "changes only"
    back = run_tap({**one, "companies": ["usmf", "demf"]}, state=state)
    target.take(back.messages)
    assert target.rows(CURSOR) == everything(contoso, CURSOR)


def test_a_company_that_never_showed_a_row_is_not_left_out(
    new_contoso: Callable[..., Contoso],
    run_tap: RunTap,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """It failed, and was taken out as the message advises: the others are whole without it."""
    contoso = new_contoso()
    config = configured(contoso, tmp_path, SCAN)
    contoso.d365.faults.add(Fault(answer(403), on=of_company(SCAN, "demf")))
    failing, _ = run_failing(config, capsys)
    state = failing.states[-1]
    for _ in range(2):
        output = run_tap({**config, "companies": ["usmf"]}, state=state)
        state = output.states[-1]
    assert len(output.of("ACTIVATE_VERSION")) == 1


@pytest.mark.parametrize(
    ("states", "due"),
    [
        pytest.param([{}, {}], False, id="nothing is owed"),
        pytest.param([{"removal": "due"}, {"removal": "due"}], True, id="all are due"),
        pytest.param([{"removal": "due"}, {}], True, id="a company came since"),
        pytest.param([{"removal": "owed"}, {}], False, id="a read goes on first"),
        pytest.param([{"removal": "owed"}, {"removal": "due"}], False, id="interrupted again"),
    ],
)
def test_everything_is_read_again_after_a_run_to_the_end(
    states: list[dict[str, Any]],
    due: bool,  # noqa: FBT001 - a case of the table
) -> None:
    assert removals.is_due(states) is due
