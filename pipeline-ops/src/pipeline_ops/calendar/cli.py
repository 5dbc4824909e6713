"""``d365fo-tableau calendar``: plan and drive the runs of a close."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import BusyError, ConfigError
from pipeline_core.files import write_atomically
from pipeline_ops.calendar.blocks import check_blocks
from pipeline_ops.calendar.d365 import fetch_periods
from pipeline_ops.calendar.export import to_airflow, to_cron, to_systemd
from pipeline_ops.calendar.follow import (
    NOTHING_AHEAD,
    Place,
    failure_of,
    run_for_ever,
    run_once,
    run_until_settled,
)
from pipeline_ops.calendar.grid import month_grid, months_of
from pipeline_ops.calendar.launch import find_meltano
from pipeline_ops.calendar.load import load_calendar
from pipeline_ops.calendar.periods_setting import D365Periods
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


@dataclass(frozen=True, slots=True)
class _Files:
    """Paths as given; the calendar's own one is looked for when it is not."""

    file: Path | None
    store: Path
    ledger: Path
    meltano: Path | None

    def executable(self) -> Path:
        return find_meltano() if self.meltano is None else self.meltano.absolute()

    def calendar_file(self) -> Path:
        if self.file is not None:
            return self.file
        here = Path("close_calendar.yml")
        if here.is_file():
            return here
        try:
            return find_project(Path.cwd()) / here
        except ConfigError:
            return here

    def place(self) -> Place:
        file = self.calendar_file().absolute()
        project = find_project(Path.cwd())
        return Place(
            file, project, self.store.absolute(), self.ledger.absolute(), self.executable()
        )


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
    default=Path("var/calendar.db"),
    show_default=True,
    help="SQLite file that knows what became of each event. One for all drivers; local disk.",
)
@click.option(
    "--ledger",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("var/ledger.db"),
    show_default=True,
    envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
    help="The audit ledger.",
)
@click.option(
    "--meltano",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="D365FO_TABLEAU_MELTANO",
    help="Meltano's executable; default: the one beside this command, or on the PATH.",
)
@click.pass_context
def calendar(
    context: click.Context, file: Path | None, store: Path, ledger: Path, meltano: Path | None
) -> None:
    """Run the pipeline on the working days of a close: plan, next, run, log, fetch, export."""
    context.obj = _Files(file, store, ledger, meltano)


def _load(files: _Files) -> tuple[CloseCalendar, Periods]:
    """The calendar and its periods, checked against the project where there is one."""
    loaded = load_calendar(files.calendar_file())
    try:
        project = find_project(Path.cwd())
    except ConfigError:
        pass  # a plan can be made anywhere
    else:
        check_blocks(loaded, project)
    return loaded, loaded.source.read()


def _as_of(first: datetime | None) -> datetime:
    return datetime.now(UTC) if first is None else first.replace(tzinfo=UTC)


def _ahead(
    files: _Files, first: datetime | None, count: int
) -> tuple[CloseCalendar, list[Planned]]:
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
def plan(files: _Files, count: int, first: datetime | None, month: str | None, form: str) -> None:
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


def _draw(files: _Files, month: str) -> None:
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
def next_events(files: _Files, first: datetime | None, form: str) -> None:
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
def run(files: _Files, *, follow: bool, wait: bool) -> None:
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
def log(files: _Files, form: str) -> None:
    """What became of each event so far, the latest last."""
    if not files.store.is_file():
        message = f"there is no {files.store}; no driver has run here yet"
        raise ConfigError(message)
    name = load_calendar(files.calendar_file()).name
    with Store(files.store) as store:
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
def fetch(files: _Files) -> None:
    """Read the fiscal periods from D365 (`periods: {from: d365}`) and keep them in a file."""
    loaded = load_calendar(files.calendar_file().absolute())
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


@calendar.command()
@click.option("--to", type=click.Choice(["cron", "systemd", "airflow"]), required=True)
@_count
@_from
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory to write to; default: print.",
)
@click.pass_obj
def export(files: _Files, to: str, count: int, first: datetime | None, output: Path | None) -> None:
    """The plan for cron, systemd or Airflow; each of them calls `calendar run`."""
    loaded, planned = _ahead(files, first, count)
    planned = [each for each in planned if each.due > _as_of(first)]
    project = find_project(Path.cwd())
    command = Path(sys.argv[0]).resolve()
    made: dict[str, str]
    if to == "cron":
        made = {f"{loaded.name}.crontab": to_cron(loaded, planned, project, command)}
    elif to == "systemd":
        made = to_systemd(loaded, planned, project, command)
    else:
        made = {f"close_calendar_{loaded.name}.py": to_airflow(loaded, planned, project, command)}
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
