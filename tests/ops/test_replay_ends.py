"""How the end of what a replay started becomes the replay's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ops.test_story import TAP, TARGET, write

from pipeline_core.errors import AuthError, BusyError, ConfigError, IntegrityError, PipelineError
from pipeline_core.ledger import Ledger
from pipeline_ops.audit.plugins import variable
from pipeline_ops.audit.replay import Compared, story_of

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[tuple[str, str, dict[str, Any]]]

DIED: Rows = [
    (TARGET, "run.started", {}),
    (TAP, "run.started", {}),
    (TAP, "run.failed", {"error": "AuthError: the client id is not known"}),
    (TARGET, "run.failed", {"error": "IntegrityError: the input ended before"}),
]


@pytest.mark.parametrize(
    ("rows", "code", "kind", "why"),
    [
        pytest.param(DIED, 1, AuthError, "the client id is not known", id="who failed first"),
        pytest.param(DIED[3:], 1, IntegrityError, "the input ended before", id="the target alone"),
        pytest.param([], 73, BusyError, "see the lines above", id="by its exit code"),
        pytest.param([], 1, PipelineError, "see the lines above", id="nobody knows"),
        pytest.param([], 0, ConfigError, "wrote nothing into this ledger", id="another ledger"),
        pytest.param(
            [(TARGET, "run.failed", {"error": "OSError: disk full"})],
            1,
            PipelineError,
            "disk full",
            id="a failure without a class of ours",
        ),
    ],
)
def test_a_failure_keeps_its_kind_and_its_sentence(
    tmp_path: Path, rows: Rows, code: int, kind: type[Exception], why: str
) -> None:
    path = tmp_path / "ledger.db"
    write(path, [("d365fo-tableau", "replay.intent", {"replay_of": "run-1"}), *rows], run="run-2")
    with (
        Ledger(path, run_id="run-2", actor="test") as ledger,
        pytest.raises(PipelineError, match=why) as told,
    ):
        story_of(ledger, "run-2", code)
    assert type(told.value) is kind


def test_a_good_end_is_told_by_its_story(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    write(path, [(TARGET, "run.started", {}), (TARGET, "run.finished", {})], run="run-2")
    with Ledger(path, run_id="run-2", actor="test") as ledger:
        assert story_of(ledger, "run-2", 0).outcome == "complete"


@pytest.mark.parametrize(
    ("compared", "differs"),
    [
        pytest.param(Compared("A", figures_same=True, rows_same=True), False, id="the same"),
        pytest.param(Compared("A"), False, id="nothing known"),
        pytest.param(Compared("A", figures_same=False, rows_same=True), True, id="figures"),
        pytest.param(Compared("A", figures_same=True, rows_same=False), True, id="rows"),
        pytest.param(Compared("A", sealed_same=False), True, id="sums"),
    ],
)
def test_any_difference_counts(compared: Compared, differs: bool) -> None:  # noqa: FBT001
    assert compared.differs is differs


def test_variables_are_named_as_meltano_names_them() -> None:
    assert variable("tap-d365fo", "replay_run_id") == "TAP_D365FO_REPLAY_RUN_ID"
    assert variable("tap-d365fo--close", "archive_path") == "TAP_D365FO__CLOSE_ARCHIVE_PATH"
