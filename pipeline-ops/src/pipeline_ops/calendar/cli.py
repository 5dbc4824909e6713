"""``d365fo-tableau calendar``: plan and drive the runs of a close."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import BusyError, ConfigError
from pipeline_core.files import write_atomically
from pipeline_ops.calendar.blocks import check_blocks
from pipeline_ops.calendar.d365 import fetch_periods
from pipeline_ops.calendar.export import to_airflow, to_cron
from pipeline_ops.calendar.export_systemd import ServiceRules, to_systemd
from pipeline_ops.calendar.follow import (
    NOTHING_AHEAD,
    failure_of,
    run_for_ever,
    run_once,
    run_until_settled,
)
from pipeline_ops.calendar.grid import month_grid, months_of
from pipeline_ops.calendar.periods_setting import D365Periods
from pipeline_ops.calendar.places import DEFAULT_LEDGER, DEFAULT_STORE, Files
from pipeline_ops.calendar.plan import (
    REACH,
    coming_periods,
    fingerprint,
    plan_between,
    plan_periods,
)
from pipeline_ops.calendar.store import Store
from pipeline_ops.project import find_project
from pipeline_ops.stopping import unwinding

if TYPE_CHECKING:
    from pipeline_ops.calendar.periods import Periods
    from pipeline_ops.calendar.plan import Planned
    from pipeline_ops.calendar.settings import CloseCalendar

_DAY = timedelta(days=1)

_STOPPED = "told to stop; a run that was under way will be started again by the next driver"

_RUN = """Start `meltano run` for what is due, each event of a period once.

\b
Called again and again (cron), or once with --follow as a service:
  */5 * * * *  cd /srv/close && d365fo-tableau calendar run
  d365fo-tableau calendar run --follow

Several drivers may run at the same time: one works, the others leave (exit
code 0). What failed is started again by a later call, within the limits of the
file; until then, and when it has failed for good, the exit code is 75.
"""


_EXPORT = """Write the plan for cron, systemd or Airflow; each of them calls `calendar run`.

The call names everything by its whole path, as this call finds it (--file, --store, --ledger,
--meltano, their variables): a driver that looked elsewhere would keep another record.

\b
d365fo-tableau calendar export --to systemd --periods 13 --output units \\
    --user finance --environment-file /etc/d365fo-tableau/environment
"""

_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
_from = click.option(
    "--from",
    "first",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Plan as of this day (UTC) instead of now.",
)
_count = click.option(
    "--periods",
    "count",
    type=click.IntRange(1, 60),
    default=3,
    show_default=True,
    help="How many periods ahead.",
)


@click.group()
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="D365FO_TABLEAU_CALENDAR",
    help="The calendar; default: close_calendar.yml here or beside meltano.yml.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="D365FO_TABLEAU_CALENDAR_STORE",
    help="SQLite file that knows what became of each event. One for all drivers; local disk. "
    f"Default: {DEFAULT_STORE} in the project.",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
    help=f"The audit ledger. Default: {DEFAULT_LEDGER} in the project.",
)
@click.option(
    "--periods-file",
    "periods",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="D365FO_TABLEAU_CALENDAR_PERIODS",
    help="Where `fetch` keeps the fiscal periods of D365; comes before the calendar's `cache`.",
)
@click.option(
    "--meltano",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="D365FO_TABLEAU_MELTANO",
    help="Meltano's executable; default: the one beside this command, or on the PATH.",
)
@click.pass_context
def calendar(
    context: click.Context,
    *,
    file: Path | None,
    store: Path | None,
    ledger: Path | None,
    periods: Path | None,
    meltano: Path | None,
) -> None:
    """Run the pipeline on the working days of a close: plan, next, run, log, fetch, export."""
    context.obj = Files(file, store, ledger, periods, meltano)


def _load(files: Files) -> tuple[CloseCalendar, Periods]:
    """The calendar and its periods, checked against the project where there is one."""
    loaded = files.load()
    try:
        project = find_project(Path.cwd())
    except ConfigError:
        pass  # a plan can be made anywhere
    else:
        check_blocks(loaded, project)
    return loaded, loaded.source.read()


def _as_of(first: datetime | None) -> datetime:
    return datetime.now(UTC) if first is None else first.replace(tzinfo=UTC)


def _ahead(files: Files, first: datetime | None, count: int) -> tuple[CloseCalendar, list[Planned]]:
    loaded, periods = _load(files)
    coming = coming_periods(loaded, periods, _as_of(first), count)
    if not coming:
        raise ConfigError(NOTHING_AHEAD)
    return loaded, plan_periods(loaded, coming)


@calendar.command()
@_count
@_from
@click.option("--month", help="Draw this month, such as 2027-01, instead of the table.")
@_format
@click.pass_obj
def plan(files: Files, count: int, first: datetime | None, month: str | None, form: str) -> None:
    """Every event of the coming periods as an explicit instant, local and UTC."""
    if month is not None:
        _draw(files, month)
        return
    loaded, planned = _ahead(files, first, count)
    if form == "json":
        document = {
            "calendar": loaded.name,
            "fingerprint": fingerprint(planned),
            "events": [_fields(each) for each in planned],
        }
        click.echo(json.dumps(document, indent=2))
        return
    _table(planned)
    click.echo(f"\n{len(planned)} events; fingerprint {fingerprint(planned)[:16]}")


def _draw(files: Files, month: str) -> None:
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError as error:
        message = f"--month is {month!r}; write it as 2027-01"
        raise ConfigError(message) from error
    loaded, periods = _load(files)
    opens, closes = months_of(first)
    midnight = datetime.combine(opens, time(), tzinfo=UTC)
    planned = plan_between(loaded, periods, midnight - 2 * _DAY, midnight + 33 * _DAY)
    near = periods.ending(opens - REACH, closes + REACH)
    for group in loaded.groups:
        mine = [each for each in planned if each.group is group]
        click.echo("\n".join(month_grid(first, group, near, mine)))


@calendar.command("next")
@_from
@_format
@click.pass_obj
def next_events(files: Files, first: datetime | None, form: str) -> None:
    """The next instant of each event of each group."""
    loaded, periods = _load(files)
    now = _as_of(first)
    soonest: dict[tuple[str, str], Planned] = {}
    for each in plan_between(loaded, periods, now, now + 2 * REACH):
        soonest.setdefault((each.key.group, each.key.event), each)
    if not soonest:
        raise ConfigError(NOTHING_AHEAD)
    if form == "json":
        click.echo(json.dumps([_fields(each) for each in soonest.values()], indent=2))
        return
    _table(list(soonest.values()))


@calendar.command(help=_RUN)
@click.option("--follow", is_flag=True, help="Stay and start each event when it is due.")
@click.option("--wait", is_flag=True, help="Stay until nothing waits for a further attempt.")
@click.pass_obj
def run(files: Files, *, follow: bool, wait: bool) -> None:
    """Start what is due."""
    if follow and wait:
        message = "--follow stays anyway; leave out --wait"
        raise ConfigError(message)
    place = files.place()
    with unwinding(_STOPPED):
        if follow:
            run_for_ever(place, _tell)
            return
        try:
            done = run_until_settled(place, _tell) if wait else run_once(place, _tell)
        except BusyError as error:
            _tell(str(error))
            return
    failure = failure_of(done)
    if failure is not None:
        raise failure


def _tell(line: str) -> None:
    click.echo(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}", err=True)


@calendar.command()
@_format
@click.pass_obj
def log(files: Files, form: str) -> None:
    """What became of each event so far, the latest last."""
    kept = files.store_file()
    if not kept.is_file():
        message = f"there is no {kept}; no driver has run here yet"
        raise ConfigError(message)
    name = files.load().name
    with Store(kept) as store:
        records = list(store.records(name).values())
    if form == "json":
        rows = [
            {
                "group": each.key.group,
                "period": each.key.period,
                "event": each.key.event,
                "due": each.due.isoformat(),
                "state": each.state.value,
                "attempts": each.attempts,
                "run_id": each.run_id,
                "exit_code": each.exit_code,
                "retry_at": each.retry_at.isoformat() if each.retry_at else None,
                "note": each.note,
            }
            for each in records
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for each in records:
        run_id = each.run_id or "-"
        click.echo(
            f"{each.due:%Y-%m-%d %H:%M} UTC  {each.state:10}  {each.key}  {run_id}  {each.note}"
        )


@calendar.command()
@click.pass_obj
def fetch(files: Files) -> None:
    """Read the fiscal periods from D365 (`periods: {from: d365}`) and keep them in a file."""
    loaded = files.load()
    if not isinstance(loaded.source, D365Periods):
        message = f"{loaded.path.name} does not take its periods from D365 (`from: d365`)"
        raise ConfigError(message)
    project = find_project(Path.cwd())
    environment = loaded.groups[0].environment
    found = fetch_periods(
        loaded.source, project=project, meltano=files.executable(), environment=environment
    )
    first, last = found.listed[0], found.listed[-1]
    click.echo(
        f"{len(found.listed)} periods of {loaded.source.calendar}, {first.start} to {last.end}, "
        f"are in {loaded.source.cache}"
    )


@calendar.command(help=_EXPORT)
@click.option("--to", type=click.Choice(["cron", "systemd", "airflow"]), required=True)
@_count
@_from
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to write to; default: print.",
)
@click.option("--user", help="systemd: who the runs are; default: you.")
@click.option(
    "--environment-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="systemd: file of settings that the service reads.",
)
@click.option("--service", help="systemd: only a timer, for this service that is there.")
@click.pass_obj
def export(
    files: Files,
    *,
    to: str,
    count: int,
    first: datetime | None,
    output: Path | None,
    user: str | None,
    environment_file: Path | None,
    service: str | None,
) -> None:
    """The plan for cron, systemd or Airflow."""
    if to != "systemd" and (user or environment_file or service):
        message = "--user, --environment-file and --service belong to `--to systemd`"
        raise ConfigError(message)
    loaded, planned = _ahead(files, first, count)
    planned = [each for each in planned if each.due > _as_of(first)]
    made: dict[str, str]
    if to == "cron":
        made = {f"{loaded.name}.crontab": to_cron(loaded, planned, files.calling())}
    elif to == "systemd":
        rules = ServiceRules(user or getpass.getuser(), environment_file, service)
        made = to_systemd(loaded, planned, files.calling(), rules)
    else:
        made = {f"close_calendar_{loaded.name}.py": to_airflow(loaded, planned, files.calling())}
    for name, content in made.items():
        if output is None:
            click.echo(f"# {name}\n{content}" if len(made) > 1 else content, nl=len(made) > 1)
        else:
            output.mkdir(parents=True, exist_ok=True)
            write_atomically(output / name, content.encode())
            click.echo(str(output / name))


def _fields(each: Planned) -> dict[str, object]:
    return {
        "group": each.key.group,
        "companies": list(each.group.companies),
        "period": each.key.period,
        "event": each.key.event,
        "at": str(each.rule.at),
        "local": each.local.isoformat(),
        "zone": each.group.zone.key,
        "utc": each.due.isoformat(),
        "run": list(each.rule.blocks),
    }


def _table(planned: list[Planned]) -> None:
    rows = [("PERIOD", "GROUP", "EVENT", "AT", "LOCAL", "UTC", "RUNS")]
    rows += [
        (
            each.key.period,
            each.key.group,
            each.key.event,
            str(each.rule.at),
            f"{each.local:%a %Y-%m-%d %H:%M %Z}",
            f"{each.due:%Y-%m-%d %H:%M}",
            " ".join(each.rule.blocks),
        )
        for each in planned
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
