"""A driver as the recipes set it up: nothing may be written to where the project lies."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("d365fo-tableau")
UNIT = PROJECT / "deploy/systemd/d365fo-tableau-calendar.service"
DOCKERFILE = PROJECT / "deploy/docker/Dockerfile"
STATE = "/var/lib/d365fo-tableau"

#: Root may write anywhere, unless it gives that up for good: capability 1, CAP_DAC_OVERRIDE.
AS_SERVICE = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

#: Stands for Meltano: runs end well, and what is invoked sends fiscal periods.
MELTANO = """\
#!/bin/sh
case "$1" in
invoke) cat "$(dirname "$0")/messages" ;;
*) echo "$*" >> "$(dirname "$0")/log" ;;
esac
"""


def variables_of(recipe: Path, state: Path) -> dict[str, str]:
    """What a recipe sets, with another place for what is kept."""
    found = re.findall(r"((?:D365FO_TABLEAU|TARGET_TABLEAU_HYPER)_\w+)=(\S+)", recipe.read_text())
    return {name: value.replace(STATE, str(state)) for name, value in found}


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def day(days: int) -> str:
    return f"{datetime.now(UTC).date() + timedelta(days=days)}"


def message(year: str, start: str, end: str) -> dict[str, object]:
    record = {
        "Calendar": "Fiscal",
        "FiscalYear": year,
        "PeriodName": "Period 1",
        "StartDate": start,
        "EndDate": end,
        "Type": "Operating",
    }
    return {"type": "RECORD", "stream": "FiscalPeriods", "record": record}


@pytest.mark.parametrize("recipe", [UNIT, DOCKERFILE], ids=lambda path: path.name)
def test_a_project_that_cannot_be_written_to_is_driven_and_fetched_for(
    tmp_path: Path, recipe: Path
) -> None:
    project, state = tmp_path / "project", tmp_path / "state"
    project.mkdir()
    state.mkdir()
    calendar = {
        "zone": "UTC",
        "starts": day(0),
        "periods": {"from": "d365", "calendar": "Fiscal", "cache": "var/fiscal_periods.csv"},
        "events": {"flash": {"at": "D0 00:00", "run": "tap target"}},
        "driver": {"max_lateness": "2d"},
    }
    (project / "close_calendar.yml").write_text(json.dumps(calendar))
    plugins = [{"name": "tap"}, {"name": "target"}]
    (project / "meltano.yml").write_text(json.dumps({"plugins": {"utilities": plugins}}))
    messages = [
        message("1", day(-20), day(0)),
        message("2", day(1), day(40)),
        {"type": "STATE", "value": {"audit": {"complete": True}}},
    ]
    (state / "messages").write_text("\n".join(map(json.dumps, messages)))
    (state / "meltano").write_text(MELTANO)
    (state / "meltano").chmod(0o755)
    environment = {**os.environ, **variables_of(recipe, state)}
    environment["D365FO_TABLEAU_MELTANO"] = str(state / "meltano")
    with closed(project):
        for word in ("fetch", "run", "run"):
            done = subprocess.run(
                [sys.executable, "-c", AS_SERVICE, str(COMMAND), "calendar", word],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    assert (state / "log").read_text() == "run tap target\n"
    assert {"calendar.db", "ledger.db", "fiscal_periods.csv"} <= {p.name for p in state.iterdir()}
    with (state / "fiscal_periods.csv").open() as kept:
        assert len(list(csv.DictReader(kept))) == 2
    assert sorted(path.name for path in project.iterdir()) == ["close_calendar.yml", "meltano.yml"]
