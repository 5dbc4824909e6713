"""``contoso-sandbox demo``: the whole way, told step by step."""

from __future__ import annotations

import shutil
import signal
import sys
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from contoso_sandbox.contoso import Contoso
from contoso_sandbox.demo.afterwards import type_in
from contoso_sandbox.demo.compare import compare
from contoso_sandbox.demo.pipeline import MeltanoRun
from contoso_sandbox.demo.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

    from contoso_sandbox.demo.pipeline import Line

#: Exit code when the three places do not agree, or the pipeline fails.
_FAILED = 1

#: Lines of a failed run that are shown again.
_LAST_LINES = 12


@click.command()
@click.option("--days", default=3, show_default=True, help="Business days that pass in between.")
@click.option("--scale", default=1.0, show_default=True, help="Size of Contoso's data.")
@click.option(
    "--project",
    default=Path(),
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The Meltano project; the current folder by default.",
)
def demo(days: int, scale: float, project: Path) -> None:
    """Move Contoso's ledger from D365 into Tableau, twice, and compare.

    Starts the sandbox on free ports, runs `meltano run tap-d365fo target-tableau-hyper`, compares
    every data source in D365, in its extract and in Tableau, lets some business days pass, runs
    again and shows what travelled. Everything ends with the command; the extracts stay.
    """
    project = project.resolve()
    if not (project / "meltano.yml").is_file():
        message = f"{project} holds no meltano.yml; run this in the repository, or pass --project"
        raise click.UsageError(message)
    state, extracts = project / "var/demo", project / "output/demo"
    for stale in (state, extracts):
        shutil.rmtree(stale, ignore_errors=True)
    state.mkdir(parents=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    equal = _tell(project, state, extracts, days=days, scale=scale)
    sys.exit(0 if equal else _FAILED)


def _leave(number: int, _frame: FrameType | None) -> None:
    """Unwind instead of dying at once: the plugins and servers end on the way out."""
    sys.exit(128 + number)


def _tell(project: Path, state: Path, extracts: Path, *, days: int, scale: float) -> bool:
    screen = Screen(Console(highlight=False), project)
    screen.step("Starting Contoso: Entra ID, Dynamics 365 F&O and Tableau Server on loopback")
    begun = time.monotonic()
    with Contoso.start(state / "sandbox", scale=scale) as contoso:
        screen.contoso(contoso, time.monotonic() - begun)
        environment = _environment(contoso, state, extracts)
        screen.step("First run: everything is new")
        if not _run(screen, project, environment, state, str(uuid.uuid4())):
            return False
        first = compare(contoso, extracts)
        screen.comparison(first)

        screen.step(f"{days} business days pass at Contoso")
        screen.advance(contoso.world.advance(days))

        screen.step("Second run: only what changed")
        contoso.d365.requests.clear()
        contoso.tableau.requests.clear()
        run_id = str(uuid.uuid4())
        if not _run(screen, project, environment, state, run_id):
            return False
        second = compare(contoso, extracts)
        screen.comparison(second)
        screen.travelled(contoso, extracts, run_id)
    told = _look_back(screen, project, state, extracts, run_id)
    screen.farewell(extracts, state)
    return told and bool(first) and all(c.equal for c in (*first, *second))


def _look_back(screen: Screen, project: Path, state: Path, extracts: Path, run_id: str) -> bool:
    """The second run as the ledger tells it, and two pages for the browser."""
    ledger = state / "ledger.db"
    screen.step("The second run, as the audit ledger tells it")
    story = type_in(project, "runs", "--ledger", ledger, "show", run_id)
    screen.said(story)
    screen.step("Pages for the browser")
    preview, status = extracts / "preview.html", extracts / "status.html"
    pages = [
        type_in(project, "preview", "--output-dir", extracts, "--html", preview),
        type_in(
            project,
            *("status", "--output-dir", extracts, "--ledger", ledger, "--html", status),
        ),
    ]
    for page in pages:
        screen.said(page)
    return all(said.code == 0 for said in (story, *pages))


def _run(
    screen: Screen, project: Path, environment: Mapping[str, str], state: Path, run_id: str
) -> bool:
    arguments = ("--environment=sandbox", "run", "tap-d365fo", "target-tableau-hyper")
    screen.command(f"meltano {' '.join(arguments[1:])}")
    log = state / "meltano.log"
    begun = time.monotonic()
    last_words: deque[str] = deque(maxlen=_LAST_LINES)
    with screen.following() as show:

        def on_line(line: Line) -> None:
            last_words.append(line.text)
            show(line)

        # One id for Meltano, tap, target and ledger.
        own_run = {**environment, "MELTANO_RUN_ID": run_id}
        code = MeltanoRun(project, own_run, log, on_line).run(*arguments)
    screen.ended(code, time.monotonic() - begun, log, last_words)
    return code == 0


def _environment(contoso: Contoso, state: Path, extracts: Path) -> dict[str, str]:
    """What a user's shell would export, with everything kept in the demo's own folders."""
    ledger = str(state / "ledger.db")
    return {
        **contoso.settings(),
        "TAP_D365FO_LEDGER_PATH": ledger,
        "TARGET_TABLEAU_HYPER_LEDGER_PATH": ledger,
        "TARGET_TABLEAU_HYPER_OUTPUT_DIR": str(extracts),
        "MELTANO_DATABASE_URI": f"sqlite:///{state}/meltano.db",
        "MELTANO_SYS_DIR_ROOT": str(state / "meltano"),
        "XDG_STATE_HOME": str(state / "state"),
        "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
    }
