"""L03: what a run that died had already given to the server is waited for by the next one."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.faults import Fault
from tests.target.messages import record, schema, state

from pipeline_core.errors import TransientError

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Scope
    from tests.target.harness import Extracts, Rows, Tableau
    from tests.target.killed import Zygote


class WhenAsked(Fault):
    """No fault: the server's jobs begin as soon as anybody asks for one, or gives it another."""

    def __init__(self, tableau: Tableau) -> None:
        super().__init__("", "")
        self.tableau = tableau

    def hits(self, scope: Scope) -> bool:
        method, path = scope["method"], scope["path"]
        gives = method == "PATCH" or (method == "POST" and path.endswith("/datasources"))
        if gives or "/jobs/" in path:
            self.tableau.server.publishing_seconds = 0.0
        return False


def rows_of(*numbers: int) -> list[dict[str, Any]]:
    return [
        schema("gl", {"id": {"type": "integer"}}, keys=[]),
        *(record("gl", {"id": number}) for number in numbers),
    ]


def test_l03_rows_of_a_job_that_waited_in_the_queue_stand_there_once(
    zygote: Zygote, tableau: Tableau, rows: Rows, tmp_path: Path
) -> None:
    """They are appended, so an update that comes late would add them again."""
    config = {**tableau.config, "output_dir": str(tmp_path / "output")}
    assert zygote.run(config, [*rows_of(*range(9)), state({"run": 1})])[0] == 0, zygote.said
    tableau.server.publishing_seconds = 3_600.0
    again = [*rows_of(10, 11), state({"run": 2})]
    assert zygote.run(config, again, "delivery.sent")[0] == -signal.SIGKILL, zygote.said
    (job_id,) = json.loads((tmp_path / "output" / ".in_flight.json").read_text()).values()
    assert tableau.server.jobs()[-1].id == job_id
    assert tableau.server.jobs()[-1].completed_at is None
    tableau.faulty.faults = [WhenAsked(tableau)]
    assert zygote.run(config, again) == (0, [{"run": 2}]), zygote.said
    assert "is of a run that did not see it end, and is waited for" in zygote.said
    assert rows(tableau.server.hyper_file("gl")) == [(n,) for n in (*range(9), 10, 11)]
    assert not (tmp_path / "output" / ".in_flight.json").exists()


def test_l11_a_job_that_was_not_over_in_time_is_looked_at_by_the_next_run(
    extracts: Extracts, tableau: Tableau, rows: Rows
) -> None:
    extracts.config = tableau.config
    tableau.server.publishing_seconds = 3_600.0
    tableau.faulty.faults = [Fault("PUT", "/jobs/", times=9, status=400)]
    messages = [*rows_of(1), state({"run": 1})]
    with pytest.raises(TransientError, match="after 1 s and could not be cancelled"):
        extracts.run(messages, job_timeout=1)
    with pytest.raises(TransientError, match="after 1 s and could not be cancelled"):
        extracts.run(messages, job_timeout=1)
    assert len([job for job in tableau.server.jobs() if job.completed_at is None]) == 1
    tableau.server.publishing_seconds = 0.0
    assert extracts.run(messages) == ['{"run":1}']
    assert rows(tableau.server.hyper_file("gl")) == [(1,)]
