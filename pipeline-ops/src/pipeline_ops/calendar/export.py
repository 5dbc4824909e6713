"""The plan in the language of cron and Airflow; that of systemd has a module of its own.

None of them knows working days. cron is told to ask often, systemd and Airflow get the explicit
instants of the next periods; all of them call `calendar run`, which decides, starts each event once
and keeps the record. So two exports in use at the same time do no harm.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pipeline_ops.calendar.calling import plan_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pipeline_ops.calendar.calling import Calling
    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import CloseCalendar


def to_cron(calendar: CloseCalendar, planned: Sequence[Planned], calling: Calling) -> str:
    """A crontab: one line that asks every five minutes; the plan as comments."""
    call = _in_a_shell(calling).replace("%", r"\%")
    return "\n".join(
        [
            f"# Close calendar {calendar.name}, from {calendar.path.name}.",
            "# cron knows no working days: it asks often, and `calendar run` starts what is due.",
            *plan_lines(planned),
            f"*/5 * * * * {call}",
            "",
        ]
    )


def to_airflow(calendar: CloseCalendar, planned: Sequence[Planned], calling: Calling) -> str:
    """A DAG file for Airflow 2.5 and later: one DAG, its instants by ``EventsTimetable``."""
    call = _in_a_shell(calling, "--wait")
    instants = sorted({each.due for each in planned})
    return "\n".join(
        [
            f'"""Close calendar {calendar.name}, from {calendar.path.name}.',
            "",
            "Made by `d365fo-tableau calendar export --to airflow`; make it again before the last",
            "instant. Retries are the driver's: it records each attempt in the audit ledger.",
            '"""',
            "",
            "from __future__ import annotations",
            "",
            "from datetime import datetime, timezone",
            "",
            "from airflow import DAG",
            "from airflow.timetables.events import EventsTimetable",
            "",
            "try:",
            "    from airflow.providers.standard.operators.bash import BashOperator",
            "except ImportError:  # Airflow 2",
            "    from airflow.operators.bash import BashOperator",
            "",
            "INSTANTS = [",
            *_instants(instants, planned),
            "]",
            "",
            "with DAG(",
            f"    dag_id={f'close_calendar_{calendar.name}'!r},",
            "    schedule=EventsTimetable(event_dates=INSTANTS, restrict_to_events=True),",
            "    start_date=INSTANTS[0],",
            "    catchup=False,",
            "    max_active_runs=1,",
            '    tags=["close"],',
            "):",
            "    BashOperator(",
            '        task_id="calendar_run",',
            # A command that ends in .sh would be taken for a template's file name.
            f"        bash_command={call + ' '!r},",
            "        append_env=True,",
            "    )",
            "",
        ]
    )


def _instants(instants: Iterable[datetime], planned: Sequence[Planned]) -> list[str]:
    lines = []
    for due in instants:
        names = ", ".join(str(each.key) for each in planned if each.due == due)
        when = f"{due.year}, {due.month}, {due.day}, {due.hour}, {due.minute}, {due.second}"
        lines.append(f"    datetime({when}, tzinfo=timezone.utc),  # {names}")
    return lines


def _in_a_shell(calling: Calling, *flags: str) -> str:
    return f"cd {shlex.quote(str(calling.project))} && {shlex.join(calling.words(*flags))}"
