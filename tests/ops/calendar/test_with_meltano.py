"""The calendar over the repository's own Meltano project, tap, target and Contoso."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from tests.e2e.books import assert_same, expected_rows, published_rows
from tests.e2e.meltano import PROJECT, Meltano

from pipeline_core.errors import ConfigError, DataError
from pipeline_core.ledger import Ledger
from pipeline_ops.calendar.d365 import periods_of
from pipeline_ops.calendar.periods import Period, read_periods

if TYPE_CHECKING:
    from contoso_sandbox.pytest_plugin import NewContoso

COMMAND = Path(sys.executable).with_name("d365fo-tableau")


@pytest.fixture
def meltano(new_contoso: NewContoso, tmp_path: Path) -> Meltano:
    return Meltano(new_contoso(), tmp_path, entities=("VendorsV2",))


def command(
    meltano: Meltano, calendar: dict[str, Any], *words: str
) -> subprocess.CompletedProcess[str]:
    path = meltano.home / "close_calendar.yml"
    path.write_text(json.dumps(calendar))
    options = [f"--file={path}", f"--store={meltano.home / 'calendar.db'}"]
    return subprocess.run(
        [str(COMMAND), "calendar", *options, *words],
        cwd=PROJECT,
        env={**os.environ, **meltano.environment()},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_groups_run_into_one_data_source_and_it_stays_whole(meltano: Meltano) -> None:
    today = datetime.now(UTC).date()
    later = today + timedelta(days=60)
    calendar = {
        "zone": "UTC",
        "starts": f"{today}",
        "periods": [
            {"period": "2026-10", "start": f"{today}", "end": f"{today}"},
            {"period": "2026-11", "start": f"{later}", "end": f"{later}"},
        ],
        "events": {"flash": {"at": "D0 00:00", "run": "tap-d365fo target-tableau-hyper"}},
        "groups": {"europe": {"companies": ["demf"]}, "americas": {"companies": ["usmf"]}},
        "driver": {"max_lateness": "2d"},
    }
    for _ in range(2):
        done = command(meltano, calendar, "run")
        assert done.returncode == 0, done.stderr
    with Ledger(meltano.ledger, run_id="-", actor="-") as ledger:
        events = list(ledger.events())
        ledger.verify()
    runs = list(dict.fromkeys(event.run_id for event in events))
    finished = {(e.run_id, e.actor) for e in events if e.event == "run.finished"}
    assert finished == {
        (run, actor) for run in runs for actor in ("calendar", "tap-d365fo", "target-tableau-hyper")
    }
    with closing(sqlite3.connect(meltano.home / "meltano.db")) as db:
        rows = db.execute("SELECT run_id, state, trigger FROM runs ORDER BY started_at").fetchall()
    assert [(str(UUID(run)), *rest) for run, *rest in rows] == [
        (runs[0], "SUCCESS", "close:americas:2026-10:flash"),
        (runs[1], "SUCCESS", "close:europe:2026-10:flash"),
    ]
    entity_set = meltano.contoso.world.environment.entity_sets["VendorsV2"]
    scratch = meltano.home / "s"
    scratch.mkdir()
    file = meltano.contoso.tableau.hyper_file("VendorsV2")
    published = published_rows(file, entity_set.key, scratch)
    expected = expected_rows(meltano.contoso.world, entity_set)
    assert_same("VendorsV2", expected, published)


def test_fiscal_periods_come_from_d365(meltano: Meltano) -> None:
    calendar = {
        "zone": "America/New_York",
        "periods": {"from": "d365", "calendar": "April"},
        "holidays": {"country": "US"},
        "events": {"flash": {"at": "WD1 06:00", "run": "tap-d365fo target-tableau-hyper"}},
    }
    plan = command(meltano, calendar, "plan")
    assert plan.returncode == 78
    assert "run `d365fo-tableau calendar fetch`" in plan.stderr
    fetched = command(meltano, calendar, "fetch")
    assert fetched.returncode == 0, fetched.stderr
    kept = meltano.home / "var/fiscal_periods.csv"
    assert "48 periods of April, 2024-04-01 to 2028-03-31" in fetched.stdout
    assert (
        Period("2026/2027 Period 9", date(2026, 12, 1), date(2026, 12, 31))
        in read_periods(kept).listed
    )
    plan = command(meltano, calendar, "plan", "--from=2026-12-31", "--periods=1", "--format=json")
    (planned,) = json.loads(plan.stdout)["events"]
    assert (planned["period"], planned["utc"]) == (
        "2026/2027 Period 9",
        "2027-01-04T11:00:00+00:00",
    )
    before = kept.read_bytes()
    calendar["periods"] = {"from": "d365", "calendar": "Aprill"}
    misspelt = command(meltano, calendar, "fetch")
    assert misspelt.returncode == 78
    assert "D365 has no fiscal calendar 'Aprill'; did you mean 'April'?" in misspelt.stderr
    assert kept.read_bytes() == before


def test_what_the_tap_did_not_read_whole_is_not_taken() -> None:
    row = {
        "Calendar": "Fiscal",
        "FiscalYear": "2027",
        "PeriodName": "Period 1",
        "StartDate": "2027-01-01",
        "EndDate": "2027-01-31",
        "Type": "Operating",
    }
    record = json.dumps({"type": "RECORD", "stream": "FiscalPeriods", "record": row})
    state = {"type": "STATE", "value": {"audit": {"complete": True}}}
    assert len(periods_of("Fiscal", [record, json.dumps(state)]).listed) == 1
    for messages in ([record], [record, json.dumps({"type": "STATE", "value": {}})]):
        with pytest.raises(DataError, match="read whole"):
            periods_of("Fiscal", messages)
    with pytest.raises(ConfigError, match="no fiscal calendar"):
        periods_of("Fiscal", [json.dumps(state)])
    with pytest.raises(DataError, match=r"two periods|overlap"):
        periods_of("Fiscal", [record, record, json.dumps(state)])
