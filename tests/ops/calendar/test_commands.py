"""The commands that show and export a plan, over the documented example."""

from __future__ import annotations

import ast
import getpass
import json
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.ops.calendar.test_file import EXAMPLE
from tests.tools import needed

PROJECT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("d365fo-tableau")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A project whose path needs quoting, with the example over calendar months."""
    home = tmp_path / 'a "b" 50% $HOME'
    home.mkdir()
    periods = re.compile(r"periods:\n.*?\n\n", re.DOTALL)
    text = periods.sub("periods: month\n\n", EXAMPLE.read_text())
    (home / "close_calendar.yml").write_text(text)
    jobs = {
        "jobs": [{"name": "finance"}],
        "plugins": {"x": [{"name": "tap-d365fo"}, {"name": "target-tableau-hyper"}]},
    }
    (home / "meltano.yml").write_text(json.dumps(jobs))
    return home


def run(home: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [str(COMMAND), "calendar", *words], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def test_plan_shows_local_and_utc_instants_in_order(home: Path) -> None:
    lines = run(home, "plan", "--from=2027-01-02", "--periods=1").splitlines()
    assert lines[0].split() == ["PERIOD", "GROUP", "EVENT", "AT", "LOCAL", "UTC", "RUNS"]
    found = [re.split(r"\s{2,}", line) for line in lines[1:-2]]
    assert [row[-2] for row in found] == sorted(row[-2] for row in found)
    assert ["2026-12", "americas", "flash", "WD1 06:00", "Mon 2027-01-04 06:00 EST"] in [
        row[:5] for row in found
    ]
    assert ["europe", "final", "WD4 18:00", "Fri 2027-01-08 18:00 CET", "2027-01-08 17:00"] in [
        row[1:6] for row in found
    ]
    assert lines[-1].startswith("7 events; fingerprint ")


def test_plan_as_json_is_the_same_plan(home: Path) -> None:
    plan = json.loads(run(home, "plan", "--from=2027-01-02", "--periods=2", "--format=json"))
    assert len(plan["events"]) == 14
    assert len(plan["fingerprint"]) == 64
    for event in plan["events"]:
        local, utc = (datetime.fromisoformat(event[name]) for name in ("local", "utc"))
        assert local == utc
        assert utc.tzinfo == UTC
    europe = next(event for event in plan["events"] if event["group"] == "europe")
    assert europe["companies"] == ["demf", "frrt"]


def test_a_month_is_drawn(home: Path) -> None:
    drawn = run(home, "plan", "--month=2027-01")
    americas, europe = drawn.split("January 2027")[1:]
    assert " 4 WD1 " in americas
    assert " 6 WD3 " in americas
    assert "06:00 flash" in americas
    assert " 6 - " in europe
    assert "Epiphany" in europe
    for picture in (americas, europe):
        assert len({len(line) for line in picture.splitlines() if line[:1] in {"|", "+"}}) == 1
    assert "write it as 2027-01" in run(home, "plan", "--month=January", code=78)


def test_next_names_each_event_once(home: Path) -> None:
    lines = run(home, "next", "--from=2027-01-05").splitlines()[1:]
    assert len(lines) == 7
    names = [tuple(line.split()[1:3]) for line in lines]
    assert len(set(names)) == 7
    found = json.loads(run(home, "next", "--from=2027-01-05", "--format=json"))
    assert all(
        datetime.fromisoformat(each["utc"]) > datetime(2027, 1, 5, tzinfo=UTC) for each in found
    )


def test_log_before_any_driver_says_so(home: Path) -> None:
    assert "no driver has run here yet" in run(home, "log", code=78)
    assert "leave out --wait" in run(home, "run", "--follow", "--wait", code=78)
    assert "does not take its periods from D365" in run(home, "fetch", code=78)


def test_cron_asks_often_and_its_line_starts_the_driver(home: Path) -> None:
    crontab = run(home, "export", "--to=cron", "--from=2027-01-02", "--periods=1")
    (line,) = [line for line in crontab.splitlines() if not line.startswith("#")]
    fields, call = line.split(" ", 5)[:5], line.split(" ", 5)[5]
    assert fields == ["*/5", "*", "*", "*", "*"]
    assert "#   2027-01-04 11:00 UTC  WD1 06:00    flash of 2026-12 (americas)" in crontab
    # As cron does: an escaped % is a %, the rest goes to the shell.
    assert re.search(r"(?<!\\)%", call) is None
    asked = call.replace(r"\%", "%").replace(" run", " plan --from 2027-01-02 --periods 1")
    done = subprocess.run(["/bin/sh", "-c", asked], capture_output=True, text=True, check=False)
    assert "7 events" in done.stdout, done.stderr


def test_systemd_accepts_units_and_instants(home: Path, tmp_path: Path) -> None:
    # What systemd refuses to run is no service.
    systemd = needed("systemd-analyze", package="systemd")
    units = tmp_path / "units"
    run(home, "export", "--to=systemd", "--from=2027-01-02", "--periods=13", f"--output={units}")
    (timer,) = units.glob("*.timer")
    (service,) = units.glob("*.service")
    checked = subprocess.run(
        [systemd, "verify", "--man=no", str(timer), str(service)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    plan = json.loads(run(home, "plan", "--from=2027-01-02", "--periods=13", "--format=json"))
    ahead = {event["utc"] for event in plan["events"] if event["utc"] > "2027-01-02"}
    lines = re.findall(r"^OnCalendar=(.*)$", timer.read_text(), re.MULTILINE)
    assert len(lines) == len(ahead) > 50
    shown = subprocess.run(
        [systemd, "calendar", *lines], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
    ).stdout
    elapses = re.findall(r"Next elapse: \w+ (\S+) (\S+) UTC", shown)
    assert {f"{day}T{time}+00:00" for day, time in elapses} == ahead


def exported(home: Path, options: list[str], *words: str, **variables: str) -> str:
    done = subprocess.run(
        [str(COMMAND), "calendar", *options, "export", "--from=2027-01-02", "--periods=1", *words],
        cwd=home,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("to", ["cron", "systemd", "airflow"])
def test_an_exported_driver_keeps_the_record_that_this_one_keeps(home: Path, to: str) -> None:
    """Options or variables that were given here are not there when the scheduler calls."""
    (home / "bin").mkdir()
    (home / "bin/meltano").write_text("#!/bin/sh\n")
    options = ["--store=kept/calendar.db", "--meltano=bin/meltano"]
    variables = {
        "TARGET_TABLEAU_HYPER_LEDGER_PATH": "kept/ledger.db",
        "D365FO_TABLEAU_CALENDAR_PERIODS": "kept/periods.csv",
    }
    text = exported(home, options, f"--to={to}", **variables)
    (call,) = [line for line in text.splitlines() if " run" in line and "calendar.db" in line]
    plain = re.sub(r"\\(.)", r"\1", call.replace("%%", "%").replace("$$", "$"))
    for option, file in (
        ("--file", "close_calendar.yml"),
        ("--store", "kept/calendar.db"),
        ("--ledger", "kept/ledger.db"),
        ("--periods-file", "kept/periods.csv"),
        ("--meltano", "bin/meltano"),
    ):
        assert re.search(rf"""{option} ["']*{re.escape(str(home / file))}""", plain), plain


def test_without_options_the_export_names_what_the_project_has(home: Path) -> None:
    below = home / "below"
    below.mkdir()
    text = exported(below, [], "--to=cron").replace("\\%", "%")
    words = shlex.split(text.splitlines()[-1])
    assert words[words.index("--store") + 1] == str(home / "var/calendar.db")
    assert words[words.index("--ledger") + 1] == str(home / "var/ledger.db")


def test_the_exported_service_is_locked_up_as_those_of_the_recipe(
    home: Path, tmp_path: Path
) -> None:
    settings, kept = tmp_path / "environment", tmp_path / "kept"
    settings.write_text("")
    user = getpass.getuser()
    words = ["--to=systemd", f"--environment-file={settings}", f"--output={tmp_path / 'units'}"]
    exported(home, [f"--store={kept}/calendar.db"], *words)
    service = (tmp_path / "units/d365fo-tableau-close-close.service").read_text()
    lines = service.splitlines()
    recipe = (PROJECT / "deploy/systemd/d365fo-tableau-calendar.service").read_text()
    locks = recipe.partition("\nNoNewPrivileges")[2].splitlines()[1:]
    assert len(locks) > 20
    assert [lock for lock in locks if lock not in lines] == ["ProtectHome=yes"]
    assert {f"User={user}", f"EnvironmentFile={settings}", "UMask=0077"} < set(lines)
    # The home is no place to write to: Meltano's log goes beside the record.
    assert {"ProtectHome=read-only", f"Environment=XDG_STATE_HOME={kept}"} < set(lines)
    (writable,) = [line for line in lines if line.startswith("ReadWritePaths=")]
    assert writable.endswith(f" -{kept}")


def test_a_run_has_its_own_limit_and_the_call_none() -> None:
    """One call starts what is due, each with the `timeout` of the calendar."""
    recipe = (PROJECT / "deploy/systemd/d365fo-tableau-calendar.service").read_text()
    assert "\nTimeoutStartSec=infinity\n" in recipe


def test_where_a_service_is_there_only_a_timer_is_made(home: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    words = ["--to=systemd", "--service=d365fo-tableau-calendar.service", f"--output={units}"]
    exported(home, [], *words)
    (timer,) = units.iterdir()
    assert "\nUnit=d365fo-tableau-calendar.service\n" in timer.read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(
            ["--to=systemd", "--user=nobody-at-all"], "no user 'nobody-at-all'", id="user"
        ),
        pytest.param(["--to=systemd", "--environment-file=x"], "is no file", id="file"),
        pytest.param(["--to=systemd", "--service=x"], "the name of a unit", id="service"),
        pytest.param(["--to=cron", "--user=root"], "belong to `--to systemd`", id="cron"),
    ],
)
def test_what_systemd_would_refuse_later_is_refused_now(
    home: Path, words: list[str], told: str
) -> None:
    assert told in run(home, "export", *words, code=78)


def test_airflow_reads_a_dag_with_every_instant(home: Path) -> None:
    text = run(home, "export", "--to=airflow", "--from=2027-01-02", "--periods=2")
    tree = ast.parse(text)
    (given,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "INSTANTS"
    ]
    assert isinstance(given, ast.List)
    found = [_instant(node) for node in given.elts if isinstance(node, ast.Call)]
    plan = json.loads(run(home, "plan", "--from=2027-01-02", "--periods=2", "--format=json"))
    assert found == sorted({e["utc"] for e in plan["events"] if e["utc"] > "2027-01-02"})
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (command,) = [
        ast.literal_eval(keyword.value)
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "bash_command"
    ]
    asked = command.replace(" run --wait", " plan --from 2027-01-02 --periods 1")
    done = subprocess.run(["/bin/sh", "-c", asked], capture_output=True, text=True, check=False)
    assert "7 events" in done.stdout, done.stderr


def _instant(call: ast.Call) -> str:
    year, month, day, hour, minute, second = map(ast.literal_eval, call.args)
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).isoformat()
