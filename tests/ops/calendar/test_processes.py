"""C01 with real processes: the command, its attendant, a Meltano that writes down its starts."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

#: Stands for Meltano: one line at its start, one at its end. Told to stop, it stops.
MELTANO = """\
#!/bin/sh
cd "$(dirname "$0")"
trap 'echo "told $MELTANO_RUN_ID" >> log; kill $waiting; exit 143' TERM
echo "start $MELTANO_RUN_ID $$ $MELTANO_JOB_TRIGGER ${TAP_D365FO_COMPANIES:--} $*" >> log
sleep "$(cat seconds)" &
waiting=$!
wait $waiting
echo "end $MELTANO_RUN_ID" >> log
exit "$(cat exit)"
"""


@dataclass(frozen=True)
class Site:
    """A project with a calendar whose events were due at midnight."""

    home: Path

    def write(self, *events: str, **driver: object) -> None:
        """Events due since this midnight, each with blocks of its own; more of the driver."""
        today = datetime.now(UTC).date()
        calendar = {
            "zone": "UTC",
            "starts": f"{today}",
            "periods": [
                {"period": "now", "start": f"{today}", "end": f"{today}"},
                {
                    "period": "later",
                    "start": f"{today + timedelta(days=50)}",
                    "end": f"{today + timedelta(days=60)}",
                },
            ],
            "events": {name: {"at": "D0 00:00", "run": f"tap {name}"} for name in events},
            "driver": {"max_lateness": "2d", **driver},
        }
        path = self.home / "close_calendar.yml"
        path.with_suffix(".new").write_text(json.dumps(calendar))  # JSON is YAML
        path.with_suffix(".new").replace(path)
        plugins = [{"name": name} for name in ("tap", *events)]
        (self.home / "meltano.yml").write_text(json.dumps({"plugins": {"utilities": plugins}}))

    def set(self, *, seconds: float = 0, exit_code: int = 0) -> None:
        """How Meltano behaves from now on."""
        (self.home / "seconds").write_text(f"{seconds}\n")
        (self.home / "exit").write_text(f"{exit_code}\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        words = [str(COMMAND), "calendar", "--meltano", str(self.home / "meltano"), *arguments]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TARGET_")}
        with (self.home / "told").open("a") as told:
            return subprocess.Popen(
                words, cwd=self.home, env=environment, stdout=told, stderr=told, text=True
            )

    def run(self, *arguments: str) -> int:
        return self.start("run", *arguments).wait(timeout=60)

    @property
    def lines(self) -> list[list[str]]:
        path = self.home / "log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, word: str) -> int:
        return sum(line[0] == word for line in self.lines)

    @property
    def told(self) -> str:
        return (self.home / "told").read_text()

    def records(self) -> list[dict[str, Any]]:
        words = [str(COMMAND), "calendar", "log", "--format", "json"]
        shown = subprocess.run(words, cwd=self.home, capture_output=True, text=True, check=True)
        found: list[dict[str, Any]] = json.loads(shown.stdout)
        return found

    def state(self) -> str:
        return str(self.records()[0]["state"])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "meltano").write_text(MELTANO)
    (tmp_path / "meltano").chmod(0o755)
    site = Site(tmp_path)
    site.write("flash")
    site.set()
    return site


def wait_until(true: Callable[[], object], seconds: float = 20) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.01)


def attendant_of(driver: subprocess.Popen[str]) -> psutil.Process:
    (attendant,) = psutil.Process(driver.pid).children()
    return attendant


def let_end(site: Site) -> None:
    """End the latest run, however long it was to take; it and what it held are gone then."""
    (start, *_) = [line for line in reversed(site.lines) if line[0] == "start"]
    meltano = psutil.Process(int(start[2]))
    waiting = meltano.children()
    for process in waiting:
        process.kill()
    wait_until(lambda: all(map(is_gone, [meltano, *waiting])))


def is_gone(process: psutil.Process) -> bool:
    """Whether a process holds nothing any more; nobody may have asked how it ended."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_run_is_told_what_it_is_for(site: Site) -> None:
    assert site.run() == 0
    (start, end) = site.lines
    run_id = start[1]
    assert start[3:] == ["close:all:now:flash", "-", "run", "tap", "flash"]
    assert end == ["end", run_id]
    with Ledger(site.home / "var/ledger.db", run_id="-", actor="-") as ledger:
        assert [e.event for e in ledger.events(run_id=run_id)] == [
            "calendar.run.intent",
            "calendar.run.verified",
            "run.finished",
        ]
    (record,) = site.records()
    assert (record["state"], record["run_id"], record["attempts"]) == ("done", run_id, 1)
    assert list((site.home / "var").glob("calendar-close/*")) == []
    assert site.run() == 0
    assert site.count("start") == 1


def test_a_group_with_an_environment_of_its_own_may_read_its_companies_only(site: Site) -> None:
    path = site.home / "close_calendar.yml"
    calendar = json.loads(path.read_text())
    calendar["groups"] = {
        "eu": {"companies": ["DEMF", "frrt"], "read": "these", "environment": "eu"},
        "us": {"companies": ["usmf"], "env": {"MELTANO_STATE_ID_SUFFIX": "us"}},
    }
    path.write_text(json.dumps(calendar))
    assert site.run() == 0
    starts = [line[3:] for line in site.lines if line[0] == "start"]
    assert starts == [
        ["close:eu:now:flash", '["demf",', '"frrt"]', "--environment=eu", "run", "tap", "flash"],
        ["close:us:now:flash", "-", "run", "tap", "flash"],
    ]


def test_c01_of_many_drivers_at_once_one_works(site: Site) -> None:
    site.write("flash", "final")
    site.set(seconds=1)
    drivers = [site.start("run") for _ in range(6)]
    assert [driver.wait(timeout=60) for driver in drivers] == [0] * 6
    assert sorted(line[-1] for line in site.lines if line[0] == "start") == ["final", "flash"]
    assert site.told.count("another driver is at work (process") == 5


def test_c01_drivers_in_two_folders_of_a_project_keep_one_record(site: Site) -> None:
    below = site.home / "notes/2026"
    below.mkdir(parents=True)
    assert site.run() == 0
    words = [str(COMMAND), "calendar", "--meltano", str(site.home / "meltano")]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TARGET_")}
    done = subprocess.run([*words, "run"], cwd=below, env=environment, check=False)
    assert done.returncode == 0
    assert site.count("start") == 1
    shown = subprocess.run([*words, "log"], cwd=below, capture_output=True, text=True, check=True)
    assert "done" in shown.stdout
    assert list(below.iterdir()) == []


def test_c01_a_killed_driver_leaves_its_run_alone_and_nobody_repeats_it(site: Site) -> None:
    site.set(seconds=300)
    driver = site.start("run")
    wait_until(lambda: site.count("start"))
    driver.kill()
    driver.wait()
    assert site.run() == 0  # the lease is held by what still runs
    assert "another driver is at work" in site.told
    assert site.state() == "running"
    let_end(site)
    assert site.count("end") == 1
    wait_until(lambda: site.run() == 0 and site.state() == "done")
    assert site.count("start") == 1


def test_c01_while_an_orphaned_meltano_lives_nothing_is_started(site: Site) -> None:
    site.write("flash", backoff="1s")
    site.set(seconds=300)
    driver = site.start("run")
    wait_until(lambda: site.count("start"))
    attendant = attendant_of(driver)
    driver.kill()
    attendant.kill()
    driver.wait()
    wait_until(lambda: is_gone(attendant))
    assert site.run() == 0
    assert site.state() == "running"
    site.set()
    let_end(site)
    assert site.count("end") == 1
    # Nobody saw that end: after the wait it is done once more. The rule is after_crash: rerun.
    assert site.run("--wait") == 0
    assert (site.count("start"), site.state()) == (2, "done")
    assert site.records()[0]["attempts"] == 2


def test_c01_all_killed_is_found_out_and_left_where_asked(site: Site) -> None:
    site.write("flash", after_crash="fail")
    site.set(seconds=30)
    driver = site.start("run")
    wait_until(lambda: site.count("start"))
    parent = psutil.Process(driver.pid)
    everyone = [parent, *parent.children(recursive=True)]
    for process in everyone:
        process.suspend()  # else one of them sees another's end, and tells of it
    for process in everyone:
        process.kill()
    driver.wait()
    wait_until(lambda: all(map(is_gone, everyone)))
    assert site.run() == 75
    assert "driver and attendant died before its end was recorded" in site.told
    assert site.state() == "failed"
    assert site.run() == 0
    assert site.count("start") == 1


def test_c01_killed_at_any_time_each_event_runs_once(site: Site) -> None:
    """Only drivers are killed, twelve times, from before the claim to behind the last record."""
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201 - to repeat it
    chance = random.Random(seed)  # noqa: S311 - guards nothing
    names = [f"e{n}" for n in range(4)]
    site.write(*names, backoff="1s")
    site.set(seconds=0.2)
    for _ in range(12):
        driver = site.start("run")
        time.sleep(chance.uniform(0.3, 1.6))
        driver.kill()
        driver.wait()
    wait_until(
        lambda: site.run("--wait") == 0 and all(r["state"] == "done" for r in site.records())
    )
    assert sorted(line[-1] for line in site.lines if line[0] == "start") == names, seed
    assert len(site.records()) == 4
    with Ledger(site.home / "var/ledger.db", run_id="-", actor="-") as ledger:
        ledger.verify()


def test_c01_told_to_stop_a_driver_stops_its_run_and_the_next_starts_it_again(site: Site) -> None:
    site.write("flash", attempts=1)
    site.set(seconds=30)
    driver = site.start("run")
    wait_until(lambda: site.count("start"))
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=20) == 143
    assert site.count("told") == 1
    (record,) = site.records()
    assert (record["state"], record["attempts"], record["note"]) == (
        *("waiting", 0),
        "it was told to stop",
    )
    site.set()
    assert site.run() == 0
    assert site.state() == "done"


def test_a_run_that_takes_too_long_is_stopped(site: Site) -> None:
    site.write("flash", attempts=1, timeout="1s")
    site.set(seconds=30)
    assert site.run() == 75
    assert site.count("told") == 1
    (record,) = site.records()
    assert (record["state"], record["exit_code"]) == ("failed", 124)


def test_a_failure_says_when_it_is_tried_again(site: Site) -> None:
    site.set(exit_code=1)
    assert site.run() == 75
    last = site.told.splitlines()[-1]
    assert last.startswith("d365fo-tableau: flash of now (all): waiting: meltano ended with exit")
    assert "(retry at " in last
    assert site.run() == 0  # it waits, and nothing went wrong in this call
    assert site.count("start") == 1


def test_wait_stays_for_all_attempts(site: Site) -> None:
    site.write("flash", attempts=2, backoff="1s")
    site.set(exit_code=1)
    assert site.run("--wait") == 75
    assert site.count("start") == 2
    assert site.state() == "failed"


def test_follow_reads_the_file_anew_and_survives_half_an_edit(site: Site) -> None:
    driver = site.start("run", "--follow")
    try:
        wait_until(lambda: site.count("end") == 1)
        (site.home / "close_calendar.yml").write_text("events: [")
        driver2 = site.start("run", "--follow")
        assert driver2.wait(timeout=20) == 78  # a new one does not begin on a broken file
        site.write("flash", "final")
        wait_until(lambda: site.count("end") == 2, seconds=45)
        assert driver.poll() is None
    finally:
        driver.send_signal(signal.SIGTERM)
        assert driver.wait(timeout=20) == 143


def test_a_calendar_that_has_come_to_its_end_is_told(site: Site) -> None:
    path = site.home / "close_calendar.yml"
    calendar = json.loads(path.read_text())
    calendar["periods"].pop()
    path.write_text(json.dumps(calendar))
    assert site.run() == 78
    assert "nothing that lies ahead" in site.told
    assert site.count("end") == 1  # what was due ran all the same


def test_what_the_project_does_not_have_is_told_before_anything_starts(site: Site) -> None:
    path = site.home / "close_calendar.yml"
    path.write_text(path.read_text().replace("tap flash", "tap flsh"))
    assert site.run() == 78
    assert "'flsh', which meltano.yml does not have; did you mean 'flash'?" in site.told
    assert site.lines == []


def test_a_meltano_that_cannot_be_started_is_a_failure_like_others(site: Site) -> None:
    (site.home / "meltano").chmod(0o644)
    assert site.run() == 75
    assert "cannot be started: Permission denied" in site.told
