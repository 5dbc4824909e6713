"""C01: each event of each period runs once, whatever happens to clocks and drivers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.ops.calendar.scripted import (
    RULES,
    Clock,
    Ending,
    Killed,
    ScriptedRuns,
    calendar,
    driver_of,
    event,
    utc,
)

from pipeline_core.errors import ConfigError, IntegrityError
from pipeline_core.ledger import Ledger
from pipeline_ops.calendar.plan import plan_between
from pipeline_ops.calendar.settings import DriverRules
from pipeline_ops.calendar.store import State, Store
from pipeline_ops.runs import summarise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_ops.calendar.plan import Planned

HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "calendar.db") as store:
        yield store


@pytest.fixture
def runs() -> ScriptedRuns:
    return ScriptedRuns(Clock(utc("2027-01-03 12:00")))


FLASH = event("flash", "WD1 06:00")
FINAL = event("final", "WD3 18:00")


def started(runs: ScriptedRuns) -> list[str]:
    return [f"{key.period} {key.event}" for key, _ in runs.started]


def states(store: Store) -> dict[str, str]:
    records = store.records("close").values()
    return {f"{each.key.period} {each.key.event}": each.state.value for each in records}


def test_c01_an_event_runs_when_it_is_due_and_once(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(FLASH, FINAL)
    done = driver_of(close, store, runs).round()
    assert (done.records, done.wake_at) == ((), utc("2027-01-04 06:00"))
    for now in ("2027-01-04 05:59", "2027-01-04 06:00", "2027-01-04 06:30", "2027-01-05 06:00"):
        runs.clock.now = utc(now)
        done = driver_of(close, store, runs).round()
    assert started(runs) == ["2026-12 flash"]
    assert done.wake_at == utc("2027-01-06 18:00")
    assert done.failures == ()


def test_c01_what_was_due_before_the_first_look_does_not_run(
    store: Store, runs: ScriptedRuns
) -> None:
    runs.clock.now = utc("2027-01-04 07:00")
    driver_of(calendar(FLASH), store, runs).round()
    assert states(store) == {}


def test_c01_starts_says_from_when_on_events_count(store: Store, runs: ScriptedRuns) -> None:
    runs.clock.now = utc("2027-01-04 07:00")
    driver_of(calendar(FLASH, starts=date(2026, 12, 1)), store, runs).round()
    assert states(store) == {"2026-11 flash": "missed", "2026-12 flash": "done"}


def test_c01_after_downtime_only_the_latest_of_the_same_work_runs(
    store: Store, runs: ScriptedRuns
) -> None:
    a, b, c = (
        event(n, f"WD1 {h}", "x") for n, h in (("a", "06:00"), ("b", "08:00"), ("c", "10:00"))
    )
    other = event("other", "WD1 07:00", "y")
    close = calendar(a, b, c, other)
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-01-04 09:00")
    driver_of(close, store, runs).round()
    assert started(runs) == ["2026-12 other", "2026-12 b"]
    assert states(store)["2026-12 a"] == "superseded"
    assert "2026-12 c" not in states(store)


def test_c01_after_downtime_all_run_in_order_where_asked(store: Store, runs: ScriptedRuns) -> None:
    a, b = (event(n, f"WD1 {h}", "x", every=True) for n, h in (("a", "06:00"), ("b", "08:00")))
    close = calendar(b, a)
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-01-04 09:00")
    driver_of(close, store, runs).round()
    assert started(runs) == ["2026-12 a", "2026-12 b"]


@pytest.mark.parametrize(
    ("minutes", "state"), [(12 * 60, "done"), (12 * 60 + 1, "missed")], ids=["in time", "too late"]
)
def test_c01_later_than_max_lateness_is_missed(
    tmp_path: Path, store: Store, runs: ScriptedRuns, minutes: int, state: str
) -> None:
    close = calendar(FLASH)
    ledger = tmp_path / "ledger.db"
    driver_of(close, store, runs, ledger).round()
    runs.clock.now = utc("2027-01-04 06:00") + timedelta(minutes=minutes)
    done = driver_of(close, store, runs, ledger).round()
    assert states(store) == {"2026-12 flash": state}
    assert len(done.failures) == (state == "missed")
    with Ledger(ledger, run_id="-", actor="-") as opened:
        assert (f"calendar.{state}" in [e.event for e in opened.events()]) == (state == "missed")
        opened.verify()


def test_a_failed_run_is_started_again_with_growing_waits(
    tmp_path: Path, store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH)
    ledger = tmp_path / "ledger.db"
    driver_of(close, store, runs, ledger).round()
    runs.clock.now = utc("2027-01-04 06:00")
    runs.script = ["fails", "fails", "ok"]
    waits = []
    for _ in range(3):
        done = driver_of(close, store, runs, ledger).round()
        if done.failures:
            assert done.wake_at is not None
            assert done.wake_at == done.failures[0].retry_at
            waits.append(done.wake_at - runs.clock.now)
            runs.clock.now = done.wake_at - timedelta(seconds=1)
            assert driver_of(close, store, runs, ledger).round().records == ()
            runs.clock.now = done.wake_at
    assert waits == [timedelta(minutes=5), timedelta(minutes=10)]
    assert states(store) == {"2026-12 flash": "done"}
    with Ledger(ledger, run_id="-", actor="-") as opened:
        events = [e.event for e in opened.events()]
        outcomes = [run.outcome for run in summarise(opened.events())]
    assert events == [
        *("calendar.run.intent", "calendar.run.failed") * 2,
        *("calendar.run.intent", "calendar.run.verified", "run.finished"),
    ]
    assert outcomes == ["failed", "failed", "complete"]


def test_attempts_have_an_end(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(FLASH)
    driver_of(close, store, runs).round()
    runs.clock.now, runs.script = utc("2027-01-04 06:00"), ["fails"] * 9
    for _ in range(5):
        driver_of(close, store, runs).round()
        runs.clock.now += HOUR
    assert len(runs.started) == 3
    assert states(store) == {"2026-12 flash": "failed"}


def test_no_attempt_is_later_than_max_lateness(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(event("flash", "WD1 06:00", late=timedelta(minutes=12)))
    driver_of(close, store, runs).round()
    runs.clock.now, runs.script = utc("2027-01-04 06:00"), ["fails"]
    driver_of(close, store, runs).round()
    runs.clock.now += timedelta(minutes=5)
    driver_of(close, store, runs).round()
    assert len(runs.started) == 1
    assert states(store) == {"2026-12 flash": "failed"}


@pytest.mark.parametrize("ending", ["killed", "unborn"])
def test_c01_killed_with_an_unknown_end_it_runs_again_after_the_wait(
    tmp_path: Path, store: Store, runs: ScriptedRuns, ending: Ending
) -> None:
    close = calendar(FLASH)
    ledger = tmp_path / "ledger.db"
    driver_of(close, store, runs, ledger).round()
    runs.clock.now, runs.script = utc("2027-01-04 06:00"), [ending]
    with pytest.raises(Killed):
        driver_of(close, store, runs, ledger).round()
    assert states(store) == {"2026-12 flash": "running"}
    done = driver_of(close, store, runs, ledger).round()
    (found,) = done.failures
    assert "died before its end was recorded" in found.note
    assert found.retry_at == runs.clock.now + RULES.backoff
    runs.clock.now = found.retry_at
    driver_of(close, store, runs, ledger).round()
    assert states(store) == {"2026-12 flash": "done"}
    with Ledger(ledger, run_id="-", actor="-") as opened:
        assert not any(run.open_intents for run in summarise(opened.events()))


def test_c01_killed_with_an_unknown_end_it_is_left_where_asked(
    store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH, rules=DriverRules(rerun_after_crash=False))
    driver_of(close, store, runs).round()
    runs.clock.now, runs.script = utc("2027-01-04 06:00"), ["killed"]
    with pytest.raises(Killed):
        driver_of(close, store, runs).round()
    driver_of(close, store, runs).round()
    assert states(store) == {"2026-12 flash": "failed"}
    assert len(runs.started) == 1


def test_c01_a_driver_that_is_killed_does_not_make_a_finished_run_repeat(
    store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH)
    driver_of(close, store, runs).round()
    runs.clock.now, runs.script = utc("2027-01-04 06:00"), ["driver killed"]
    with pytest.raises(Killed):
        driver_of(close, store, runs).round()
    driver_of(close, store, runs).round()
    assert states(store) == {"2026-12 flash": "done"}
    assert len(runs.started) == 1


def test_c01_a_clock_that_was_ahead_takes_nothing_away(store: Store, runs: ScriptedRuns) -> None:
    """A wrong clock makes events of months look missed; set right, they lie ahead again."""
    close = calendar(FLASH, FINAL)
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-05-20 00:00")
    driver_of(close, store, runs).round()
    assert set(states(store).values()) == {"missed"}
    runs.clock.now = utc("2027-01-03 12:30")
    driver_of(close, store, runs).round()
    assert states(store) == {}
    runs.clock.now = utc("2027-01-04 06:00")
    driver_of(close, store, runs).round()
    assert started(runs) == ["2026-12 flash"]


def test_c01_a_clock_that_is_set_back_repeats_nothing(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(FLASH)
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-01-04 06:00")
    driver_of(close, store, runs).round()
    for now in ("2027-01-04 05:00", "2027-01-04 06:00", "2026-12-30 00:00", "2027-01-04 07:00"):
        runs.clock.now = utc(now)
        driver_of(close, store, runs).round()
    assert len(runs.started) == 1


def test_c01_a_wait_from_the_future_does_not_hold_an_attempt_back(
    store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH)
    driver_of(close, store, runs).round()
    runs.clock.now, runs.script = utc("2027-01-04 16:00"), ["fails"]
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-01-04 06:00")
    driver_of(close, store, runs).round()
    assert states(store) == {"2026-12 flash": "done"}


def test_c01_a_first_look_under_a_clock_ahead_is_forgotten(
    store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH)
    for now in ("2030-01-01 00:00", "2027-01-03 00:00", "2027-01-04 06:00"):
        runs.clock.now = utc(now)
        driver_of(close, store, runs).round()
    assert started(runs) == ["2026-12 flash"]


def test_c01_an_hour_that_comes_twice_runs_once(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(event("night", "D+1 01:30"), zone="America/New_York")
    runs.clock.now = utc("2026-11-01 05:00")
    for _ in range(12):
        driver_of(close, store, runs).round()
        runs.clock.now += timedelta(minutes=15)
    assert runs.started == [(next(iter(store.records("close"))), utc("2026-11-01 05:30"))]


def test_c01_an_hour_that_is_skipped_runs_once(store: Store, runs: ScriptedRuns) -> None:
    close = calendar(event("night", "D+14 02:30"), zone="America/New_York")
    runs.clock.now = utc("2027-03-14 06:00")
    for _ in range(12):
        driver_of(close, store, runs).round()
        runs.clock.now += timedelta(minutes=15)
    assert runs.started == [(next(iter(store.records("close"))), utc("2027-03-14 07:00"))]


def test_a_missed_event_that_is_put_off_is_open_again(store: Store, runs: ScriptedRuns) -> None:
    driver_of(calendar(FLASH), store, runs).round()
    runs.clock.now = utc("2027-01-05 06:00")
    driver_of(calendar(FLASH), store, runs).round()
    assert states(store) == {"2026-12 flash": "missed"}
    later = calendar(event("flash", "WD2 10:00"))
    driver_of(later, store, runs).round()
    runs.clock.now = utc("2027-01-05 10:00")
    driver_of(later, store, runs).round()
    assert states(store) == {"2026-12 flash": "done"}


def test_nothing_starts_where_the_ledger_cannot_be_written(
    tmp_path: Path, store: Store, runs: ScriptedRuns
) -> None:
    close = calendar(FLASH)
    driver_of(close, store, runs).round()
    runs.clock.now = utc("2027-01-04 06:00")
    (tmp_path / "ledger.db").mkdir()
    with pytest.raises(ConfigError, match=r"the ledger .* cannot be opened"):
        driver_of(close, store, runs, tmp_path / "ledger.db").round()
    assert (runs.started, states(store)) == ([], {})


def test_a01_nothing_starts_on_a_ledger_that_was_tampered_with(
    tmp_path: Path, store: Store, runs: ScriptedRuns
) -> None:
    close, path = calendar(FLASH), tmp_path / "ledger.db"
    with Ledger(path, run_id="r", actor="tap") as ledger:
        for amount in ("1.00", "2.00"):
            ledger.append("partition.read", amount=amount)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP TRIGGER ledger_no_update")
        db.execute("UPDATE ledger SET body_json = '{}' WHERE seq = 1")
    driver_of(close, store, runs, path).round()
    runs.clock.now = utc("2027-01-04 06:00")
    with pytest.raises(IntegrityError, match="broken at row 1 "):
        driver_of(close, store, runs, path).round()
    assert (runs.started, states(store)) == ([], {})


def test_c01_killed_before_the_claim_was_announced(
    tmp_path: Path, store: Store, runs: ScriptedRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    close, ledger = calendar(FLASH), tmp_path / "ledger.db"
    driver_of(close, store, runs, ledger).round()
    runs.clock.now = utc("2027-01-04 06:00")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", killed)
        with pytest.raises(Killed):
            driver_of(close, store, runs, ledger).round()
    assert states(store) == {"2026-12 flash": "running"}
    driver_of(close, store, runs, ledger).round()
    runs.clock.now += RULES.backoff
    driver_of(close, store, runs, ledger).round()
    assert states(store) == {"2026-12 flash": "done"}
    with Ledger(ledger, run_id="-", actor="-") as opened:
        assert [e.event for e in opened.events()] == [
            *("calendar.abandoned", "calendar.run.intent", "calendar.run.verified"),
            "run.finished",
        ]


def test_a_record_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calendar.db"
    with Store(path) as store:
        store._db.execute("PRAGMA user_version=9")  # noqa: SLF001 - as a later release would
    with pytest.raises(ConfigError, match="newer release"):
        Store(path)
    path.write_bytes(b"no database" * 200)
    with pytest.raises(ConfigError, match="cannot be opened"):
        Store(path)


SCRIPTS = st.lists(
    st.sampled_from(["ok", "ok", "fails", "killed", "driver killed", "unborn"]), max_size=4
)


class Close(RuleBasedStateMachine):
    """Drivers come, die and come back under a clock that jumps; runs fail and are killed."""

    CLOSE = calendar(
        event("cutoff", "WD-1 18:00", "x"),
        event("flash", "WD1 06:00", "x"),
        event("final", "WD1 09:00", "x", late=timedelta(days=2)),
        event("each", "WD1 08:00", "y", every=True),
        event("night", "D+14 02:30", "z", late=HOUR),
        zone="America/New_York",
        starts=date(2027, 2, 1),
    )

    @initialize()
    def begin(self) -> None:
        self.store = Store(Path(":memory:"))
        self.runs = ScriptedRuns(Clock(utc("2027-02-01 00:00")))
        self.latest = self.runs.clock.now

    @rule(minutes=st.integers(-5, 90), script=SCRIPTS)
    def an_event_comes_near(self, minutes: int, script: list[Ending]) -> None:
        now = self.runs.clock.now
        coming = min(each.due for each in self.plan() if each.due > now)
        self.runs.clock.now = max(now, coming + timedelta(minutes=minutes))
        self.drive(script)

    @rule(minutes=st.integers(0, 90), script=SCRIPTS)
    def some_time_passes(self, minutes: int, script: list[Ending]) -> None:
        self.runs.clock.now += timedelta(minutes=minutes)
        self.drive(script)

    def drive(self, script: list[Ending]) -> None:
        self.runs.script = list(script)
        for _ in range(20):
            try:
                driver_of(self.CLOSE, self.store, self.runs).round()
            except Killed:
                continue
            break
        now = self.runs.clock.now
        self.latest = max(self.latest, now)
        records = self.store.records("close")
        for planned in self.plan():
            if utc("2027-02-01 05:00") < planned.due <= now:
                assert records[planned.key].state is not State.RUNNING
                assert records[planned.key].attempts <= RULES.attempts

    @rule(hours=st.integers(1, 24 * 10))
    def the_clock_is_set_forward(self, hours: int) -> None:
        self.runs.clock.now += timedelta(hours=hours)

    @rule(hours=st.integers(1, 24 * 10))
    def the_clock_is_set_back(self, hours: int) -> None:
        back = self.runs.clock.now - timedelta(hours=hours)
        self.runs.clock.now = max(back, utc("2027-02-01 00:00"))

    @invariant()
    def nothing_succeeds_twice(self) -> None:
        if hasattr(self, "runs"):
            assert len(set(self.runs.succeeded)) == len(self.runs.succeeded)

    @invariant()
    def nothing_starts_early_or_late(self) -> None:
        if not hasattr(self, "runs"):
            return
        rules = {rule.name: rule for rule in self.CLOSE.groups[0].events}
        due = {p.key: p.due for p in self.plan()}
        for key, at in self.runs.started:
            assert due[key] <= at <= due[key] + rules[key.event].max_lateness

    def plan(self) -> list[Planned]:
        first, last = utc("2027-01-01 00:00"), self.latest + timedelta(days=400)
        return plan_between(self.CLOSE, self.CLOSE.source.read(), first, last)


TestClose = Close.TestCase
TestClose.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
