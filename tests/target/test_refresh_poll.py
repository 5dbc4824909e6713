"""One poller for many jobs: how often it asks, what it waits through, when it gives up."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from pipeline_core.errors import AuthError, PipelineError, TransientError
from target_tableau_hyper.refresh.poll import Poller
from target_tableau_hyper.tableau.jobs import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_tableau_hyper.refresh.poll import Work
    from target_tableau_hyper.tableau.session import TableauSession


def answer(job_id: str, *, done: bool) -> TSC.JobItem:
    end = 'completedAt="2024-01-01T00:01:00Z" finishCode="0"' if done else 'finishCode="1"'
    xml = f'<tsResponse xmlns="http://tableau.com/api"><job id="{job_id}" {end}/></tsResponse>'
    return TSC.JobItem.from_response(xml.encode(), {"t": "http://tableau.com/api"})[0]


class Site:
    """Jobs that are over at given instants of a clock that only sleeping moves."""

    def __init__(self, **over_at_s: float) -> None:
        self.over_at_s = over_at_s
        self.now = 0.0
        self.asked: Counter[str] = Counter()
        self.waits: list[float] = []
        self.over_when_cancelled: dict[str, float] = {}
        self.trouble: dict[int, Exception] = {}
        self.jobs = self
        self.ended: list[str] = []
        self.cancelled: list[str] = []
        self.poller = Poller(
            cast("TableauSession", self),
            logging.getLogger("test"),
            timeout_s=36_000,
            ours=lambda job_id: job_id != "other",
            sleep=self.sleep,
            clock=lambda: self.now,
        )

    def call(self, action: Callable[[Any], Any], *, doing: str, tries: int) -> Any:  # noqa: ANN401
        assert tries == 1
        if doing.startswith("cancelling job "):
            return action(self)
        assert doing.startswith("asking for job ")
        problem = self.trouble.pop(self.asked.total(), None)
        if problem is not None:
            self.asked["trouble"] += 1
            raise problem
        return action(self)

    def get_by_id(self, job_id: str) -> TSC.JobItem:
        self.asked[job_id] += 1
        return answer(job_id, done=self.now >= self.over_at_s[job_id])

    def cancel(self, job_id: str) -> None:
        self.cancelled.append(job_id)
        self.over_at_s.update(self.over_when_cancelled)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def work(self, *job_ids: str) -> Work:
        """Waits for some jobs, one after the other."""
        try:
            for job_id in job_ids:
                result = yield job_id
                assert (result.job_id, result.ending) == (job_id, Ending.SUCCESS)
        except BaseException as error:
            self.ended.append(f"{'+'.join(job_ids)} {type(error).__name__}")
            raise
        self.ended.append("+".join(job_ids))


def test_all_jobs_are_looked_at_in_the_same_rounds() -> None:
    site = Site(a=0, b=2, c=2)
    for job_id in "abc":
        site.poller.begin(site.work(job_id))
    site.poller.finish()
    assert site.ended == ["a", "b", "c"]
    assert site.poller.failures == []
    assert site.waits[:3] == [0.5, 0.75, 1.125]
    assert site.asked == {"a": 1, "b": 4, "c": 4}


@pytest.mark.parametrize("number", [1, 3, 60])
def test_over_a_long_time_all_together_ask_at_most_once_in_five_seconds(number: int) -> None:
    jobs = {f"j{i}": 7_200.0 for i in range(number)}
    site = Site(**jobs)
    for job_id in jobs:
        site.poller.begin(site.work(job_id))
    site.poller.finish()
    assert len(site.ended) == number
    assert site.waits == sorted(site.waits)
    longest_s = max(15, 5 * number)
    assert site.waits[-1] == longest_s
    short_rounds = sum(wait < longest_s for wait in site.waits)
    assert short_rounds <= 16
    assert site.asked.total() <= number * (short_rounds + 7_200 / longest_s + 1)


def test_work_may_wait_for_several_jobs() -> None:
    site = Site(a=1, b=5)
    site.poller.begin(site.work("a", "b"))
    site.poller.finish()
    assert site.ended == ["a+b"]


def test_trouble_while_asking_is_waited_through() -> None:
    site = Site(a=1, b=1)
    site.trouble = {0: TransientError("HTTP 503"), 3: TransientError("reset")}
    for job_id in "ab":
        site.poller.begin(site.work(job_id))
    site.poller.finish()
    assert sorted(site.ended) == ["a", "b"]


def test_work_that_is_done_at_once_asks_nothing() -> None:
    site = Site()
    site.poller.begin(site.work())
    site.poller.finish()
    assert (site.ended, site.asked, site.waits) == ([""], Counter(), [])


def test_deadline_is_for_all_together_and_names_the_last_trouble() -> None:
    site = Site(a=10, b=40_000)
    for job_id in "ab":
        site.poller.begin(site.work(job_id))
    for at in range(100_000):
        if at > 100:
            site.trouble[at] = TransientError("HTTP 502")
    site.poller.finish()
    assert site.now == pytest.approx(36_000)
    assert site.ended == ["a", "b TransientError"]
    (failure,) = site.poller.failures
    assert "job b is not over after 36000 s (last answer: HTTP 502)" in str(failure)


def test_at_the_deadline_jobs_of_ours_are_cancelled_and_others_left_alone() -> None:
    site = Site(a=10, b=40_000, other=40_000, c=40_000)
    site.over_when_cancelled = {"c": 0.0}
    for job_id in ("a", "b", "other", "c"):
        site.poller.begin(site.work(job_id))
    site.poller.finish()
    assert site.cancelled == ["b", "c"]
    assert site.ended == ["a", "b TransientError", "other TransientError", "c"]
    assert [str(failure).split(";")[0] for failure in site.poller.failures] == [
        "job b is not over after 36000 s and was cancelled",
        "job other is not over after 36000 s, and is not ours to cancel",
    ]


def test_a_failure_of_one_does_not_end_the_others() -> None:
    site = Site(a=1, b=2)

    def fails() -> Work:
        yield "a"
        message = "went wrong"
        raise PipelineError(message)

    site.poller.begin(fails())
    site.poller.begin(site.work("b"))
    site.poller.finish()
    assert site.ended == ["b"]
    assert [str(failure) for failure in site.poller.failures] == ["went wrong"]


def test_a_refused_identity_ends_all() -> None:
    site = Site(a=1, b=1)
    site.trouble = {1: AuthError("refused")}
    for job_id in "ab":
        site.poller.begin(site.work(job_id))
    with pytest.raises(AuthError, match="refused"):
        site.poller.finish()
    site.poller.close()
    assert sorted(site.ended) == ["a GeneratorExit", "b GeneratorExit"]
