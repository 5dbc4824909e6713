"""Fiscal periods from D365: the tap reads the entity set ``FiscalPeriods``, we keep them in a file.

The tap is asked in the way of every other run (``meltano invoke``), so address, credentials and
environment are those of the project and secrets stay with the tap.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import date
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, DataError, TransientError
from pipeline_core.files import write_atomically
from pipeline_ops.calendar.lines import nearest
from pipeline_ops.calendar.periods import Period, in_order, write_periods

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline_ops.calendar.periods import ListedPeriods
    from pipeline_ops.calendar.periods_setting import D365Periods

#: Public entity set of FiscalPeriodEntity: Calendar, FiscalYear, StartDate, EndDate, PeriodName,
#: Type (Operating, Opening, Closing). Shared by all companies.
ENTITY_SET = "FiscalPeriods"


def fetch_periods(
    source: D365Periods, *, project: Path, meltano: Path, environment: str | None
) -> ListedPeriods:
    """Read the calendar's operating periods and replace the kept ones.

    Raises:
        ConfigError: D365 has no such calendar, or the periods cannot be kept.
        TransientError: the tap failed; its own last line says why. What was kept stays.
        DataError: the tap's output is not whole, or a period of it makes no sense.
    """
    chosen = [f"--environment={environment}"] if environment else []
    answer = subprocess.run(  # noqa: S603 - Meltano, with the extractor of the operator's file
        [str(meltano), *chosen, "invoke", source.extractor],
        cwd=project,
        env={**os.environ, **_settings(source.extractor)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    if answer.returncode:
        message = (
            f"the fiscal periods could not be read (`meltano invoke {source.extractor}` ended with "
            f"{answer.returncode}, see above); those fetched before are kept"
        )
        raise TransientError(message)
    periods = periods_of(source.calendar, answer.stdout.decode().splitlines())
    try:
        source.cache.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(source.cache, write_periods(periods.listed))
    except OSError as error:
        message = (
            f"{source.cache} cannot be written: {error.strerror}; name another place with "
            "--periods-file or D365FO_TABLEAU_CALENDAR_PERIODS"
        )
        raise ConfigError(message) from error
    return periods


def periods_of(calendar: str, messages: Iterable[str]) -> ListedPeriods:
    """The operating periods of ``calendar`` in the Singer messages of a complete run.

    Raises:
        ConfigError: there is no such calendar among them.
        DataError: the run is not complete, or its periods make no sense.
    """
    rows: list[dict[str, Any]] = []
    complete = False
    for line in messages:
        message = json.loads(line)
        if message["type"] == "RECORD" and message["stream"] == ENTITY_SET:
            rows.append(message["record"])
        elif message["type"] == "STATE":
            complete = bool(message["value"].get("audit", {}).get("complete"))
    if not complete:
        text = f"the tap did not say that {ENTITY_SET} was read whole; run it again"
        raise DataError(text)
    calendars = sorted({str(row["Calendar"]) for row in rows})
    if calendar not in calendars:
        text = f"D365 has no fiscal calendar {calendar!r}{nearest(calendar, calendars)}"
        raise ConfigError(text)
    mine = [row for row in rows if row["Calendar"] == calendar and row["Type"] == "Operating"]
    try:
        return in_order(
            Period(
                f"{row['FiscalYear']} {row['PeriodName']}",
                _day(row, "StartDate"),
                _day(row, "EndDate"),
            )
            for row in mine
        )
    except (ValueError, KeyError) as error:
        text = f"the fiscal periods of {calendar} cannot be used: {error}"
        raise DataError(text) from error


def _day(row: dict[str, Any], name: str) -> date:
    return date.fromisoformat(str(row[name])[:10])


def _settings(extractor: str) -> dict[str, str]:
    """Narrow the tap to the one entity set, whatever the project selects."""
    prefix = extractor.upper().replace("-", "_")
    return {
        f"{prefix}_ENTITIES": json.dumps([ENTITY_SET]),
        f"{prefix}_ENTITY_SETTINGS": json.dumps({ENTITY_SET: {"replication": "full"}}),
        f"{prefix}_BATCH_FULL_READS": "records",
        f"{prefix}__SELECT": json.dumps([f"{ENTITY_SET}.*"]),
    }
