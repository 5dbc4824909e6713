"""The plan in the language of other schedulers.

None of them knows working days. cron is told to ask often, systemd and Airflow get the explicit
instants of the next periods; all of them call `calendar run`, which decides, starts each event once
and keeps the record. So two exports in use at the same time do no harm.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import CloseCalendar

_UNIT = "d365fo-tableau-close"


def to_cron(
    calendar: CloseCalendar, planned: Sequence[Planned], project: Path, command: Path
) -> str:
    """A crontab: one line that asks every five minutes; the plan as comments."""
    call = f"cd {shlex.quote(str(project))} && {_call(calendar, command)}".replace("%", r"\%")
    return "\n".join(
        [
            f"# Close calendar {calendar.name}, from {calendar.path.name}.",
            "# cron knows no working days: it asks often, and `calendar run` starts what is due.",
            *_plan_lines(planned),
            f"*/5 * * * * {call}",
            "",
        ]
    )


def to_systemd(
    calendar: CloseCalendar, planned: Sequence[Planned], project: Path, command: Path
) -> dict[str, str]:
    """Names and contents of a service and its timer.

    Instants are written in UTC: a local time that comes twice or never would be ambiguous.
    """
    call = " ".join(_quoted(word) for word in _words(calendar, command, "--wait"))
    service = f"""# Close calendar {calendar.name}, from {calendar.path.name}.
[Unit]
Description=Close calendar {calendar.name}: start what is due
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={str(project).replace("%", "%%")}
ExecStart={call}
# The driver stops its run itself and records it.
KillMode=mixed
# Killed, not failed: the next driver finds out what was under way.
Restart=on-abnormal
RestartSec=60
TimeoutStopSec=120
UMask=0077
"""
    instants = sorted({each.due for each in planned})
    timer = "\n".join(
        [
            f"# Close calendar {calendar.name}, from {calendar.path.name}.",
            "# systemd knows no working days: these are the instants of the periods that are known",
            "# now. Export again before the last one; `calendar run` fails when none lies ahead.",
            *_plan_lines(planned),
            "[Unit]",
            f"Description=Close calendar {calendar.name}",
            "",
            "[Timer]",
            *(f"OnCalendar={instant:%Y-%m-%d %H:%M:%S} UTC" for instant in instants),
            "# A run that the machine's end cut off is found out soon after its next start.",
            "OnBootSec=2min",
            "AccuracySec=1s",
            "Persistent=true",
            f"Unit={_unit(calendar)}.service",
            "",
            "[Install]",
            "WantedBy=timers.target",
            "",
        ]
    )
    return {f"{_unit(calendar)}.service": service, f"{_unit(calendar)}.timer": timer}


def to_airflow(
    calendar: CloseCalendar, planned: Sequence[Planned], project: Path, command: Path
) -> str:
    """A DAG file for Airflow 2.5 and later: one DAG, its instants by ``EventsTimetable``."""
    call = f"cd {shlex.quote(str(project))} && {_call(calendar, command, '--wait')}"
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


def _plan_lines(planned: Iterable[Planned]) -> list[str]:
    return [
        f"#   {each.due:%Y-%m-%d %H:%M} UTC  {each.rule.at!s:12} {each.key}" for each in planned
    ]


def _unit(calendar: CloseCalendar) -> str:
    return f"{_UNIT}-{calendar.name}"


def _words(calendar: CloseCalendar, command: Path, *flags: str) -> list[str]:
    return [str(command), "calendar", "--file", str(calendar.path.absolute()), "run", *flags]


def _call(calendar: CloseCalendar, command: Path, *flags: str) -> str:
    return shlex.join(_words(calendar, command, *flags))


def _quoted(word: str) -> str:
    r"""A word of ``ExecStart=``: ``%`` and ``$`` are doubled, quotes and backslashes escaped."""
    escaped = word.replace("\\", r"\\").replace('"', r"\"").replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in word for c in " \t'\"\\;") else escaped
