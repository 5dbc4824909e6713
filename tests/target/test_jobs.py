"""Jobs on the server: how their end is read, and how long they are waited for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import ConfigError, TransientError
from target_tableau_hyper.tableau.jobs import Ending, classify, wait_for_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_tableau_hyper.tableau.session import TableauSession

NAMESPACE = {"t": "http://tableau.com/api"}
LOGGER = logging.getLogger("test")


def job(attributes: str, inside: str = "") -> TSC.JobItem:
    xml = (
        f'<tsResponse xmlns="http://tableau.com/api"><job id="j1" mode="Asynchronous" '
        f'type="PublishDatasource" createdAt="2024-01-01T00:00:00Z" {attributes}>{inside}</job>'
        "</tsResponse>"
    )
    return TSC.JobItem.from_response(xml.encode(), NAMESPACE)[0]


DONE = 'completedAt="2024-01-01T00:01:00Z"'


@pytest.mark.parametrize(
    ("found", "ending", "notes"),
    [
        pytest.param(job('finishCode="1"'), None, "", id="pending jobs say 1"),
        pytest.param(
            job('finishCode="0" startedAt="2024-01-01T00:00:01Z"'), None, "", id="running"
        ),
        pytest.param(job(f'finishCode="0" {DONE}'), Ending.SUCCESS, "", id="success"),
        pytest.param(job(f'finishCode="3" {DONE}'), Ending.SUCCESS, "", id="Tableau Bridge"),
        pytest.param(job(f'finishCode="1" {DONE}'), Ending.FAILED, "", id="failed in silence"),
        pytest.param(
            job(
                f'finishCode="1" {DONE}',
                "<extractRefreshJob><notes>no such table</notes></extractRefreshJob>",
            ),
            Ending.FAILED,
            "no such table",
            id="failed with notes",
        ),
        pytest.param(job(f'finishCode="2" {DONE}'), Ending.CANCELLED, "", id="cancelled"),
        pytest.param(job(f'finishCode="9" {DONE}'), Ending.FAILED, "", id="unknown code"),
        pytest.param(
            job(
                f'finishCode="0" {DONE}',
                '<statusNotes><statusNote type="errorCode" text="disk full"/></statusNotes>',
            ),
            Ending.FAILED,
            "disk full",
            id="code 0 with an error in the notes",
        ),
    ],
)
def test_l11_end_of_a_job(found: TSC.JobItem, ending: Ending | None, notes: str) -> None:
    result = classify(found)
    assert (result.ending if result else None) == ending
    assert result is None or result.notes == notes


class ScriptedSession:
    """Answers each question about a job with the next item of a script."""

    def __init__(self, *script: TSC.JobItem | Exception) -> None:
        self.script = list(script)
        self.now = 0.0
        self.waits: list[float] = []
        self.cancelled = 0
        self.refuses: Exception | None = None
        self.jobs = self
        self.server = self

    def call(self, action: Callable[[Any], Any], *, doing: str, tries: int) -> Any:  # noqa: ANN401
        assert doing in {"asking for job j1", "cancelling job j1"}
        assert tries == 1
        return action(self)

    def cancel(self, job_id: str) -> None:
        assert job_id == "j1"
        self.cancelled += 1
        if self.refuses is not None:
            raise self.refuses

    def get_by_id(self, job_id: str) -> TSC.JobItem:
        assert job_id == "j1"
        item = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(item, Exception):
            raise item
        return item

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def wait(self, timeout_s: float = 3600) -> Ending:
        return wait_for_job(
            cast("TableauSession", self),
            "j1",
            what="gl",
            timeout_s=timeout_s,
            logger=LOGGER,
            sleep=self.sleep,
            clock=lambda: self.now,
        ).ending


RUNNING = job('finishCode="1"')
SUCCESS = job(f'finishCode="0" {DONE}')


def test_waits_grow_to_a_quarter_of_a_minute() -> None:
    session = ScriptedSession(*[RUNNING] * 12, SUCCESS)
    assert session.wait() is Ending.SUCCESS
    assert session.waits[0] == 0.5
    assert session.waits == sorted(session.waits)
    assert session.waits[-1] == 15.0


def test_l11_trouble_while_asking_is_waited_through() -> None:
    session = ScriptedSession(TransientError("HTTP 503"), TransientError("reset"), SUCCESS)
    assert session.wait() is Ending.SUCCESS


def test_l11_job_that_never_ends_is_given_up_at_the_deadline() -> None:
    session = ScriptedSession(RUNNING)
    with pytest.raises(TransientError, match="job j1 is not over after 60 s and was cancelled"):
        session.wait(timeout_s=60)
    assert session.now == pytest.approx(60)
    assert session.cancelled == 1


def test_job_that_cannot_be_cancelled_is_told_as_it_is() -> None:
    session = ScriptedSession(RUNNING)
    session.refuses = ConfigError("cancelling job j1 failed: Tableau answered 400000")
    with pytest.raises(TransientError, match="60 s and could not be cancelled"):
        session.wait(timeout_s=60)


def test_job_that_ends_while_it_is_cancelled_counts_as_it_ended() -> None:
    session = ScriptedSession(*[RUNNING] * 2, SUCCESS)
    assert session.wait(timeout_s=1.0) is Ending.SUCCESS
    assert session.cancelled == 1


def test_last_trouble_is_named_at_the_deadline() -> None:
    session = ScriptedSession(TransientError("HTTP 503"))
    with pytest.raises(TransientError, match="last answer: HTTP 503"):
        session.wait(timeout_s=5)


@pytest.mark.parametrize("code", ["404009", "404031", "400031"])
def test_purged_job_ends_unknown(code: str) -> None:
    session = ScriptedSession(ServerResponseError(code, "Not Found", ""))
    assert session.wait() is Ending.UNKNOWN


def test_other_answers_are_no_end() -> None:
    session = ScriptedSession(ServerResponseError("403000", "Forbidden", ""))
    with pytest.raises(ServerResponseError):
        session.wait()
