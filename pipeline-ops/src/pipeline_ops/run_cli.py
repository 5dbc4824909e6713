"""``d365fo-tableau run``: one `meltano run` whose exit code says what happened."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from pipeline_core import exit_notes
from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger
from pipeline_core.run_id import current_run_id
from pipeline_ops.calendar.launch import find_meltano
from pipeline_ops.children import STOPPED, Ending, catch_signals, shell_code, wait_for
from pipeline_ops.project import find_project

_HELP = """Run blocks or a job as `meltano run` does, and end with the plugin's own exit code.

Meltano ends with 1 whatever its plugins end with, so nothing that starts it can tell what is worth
another try. Before the run the ledger's chain is verified; tap, target and Meltano get one run id.
What follows the first word is Meltano's, options among it.

\b
d365fo-tableau run finance
d365fo-tableau run --full-refresh tap-d365fo target-tableau-hyper

\b
Exit codes: 0 done; 65, 70, 73, 75, 77, 78 that of the plugin that failed first; 70 also if the
ledger was tampered with; 143 told to stop; otherwise Meltano's. MELTANO_ENVIRONMENT names another
environment than the project's default.
"""


@click.command(
    "run",
    help=_HELP,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
    help="The audit ledger. Default: var/ledger.db in the project.",
)
@click.option(
    "--meltano",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="D365FO_TABLEAU_MELTANO",
    help="Meltano's executable; default: the one beside this command, or on the PATH.",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[MELTANO OPTIONS] BLOCK...")
def run_command(ledger_path: Path | None, meltano: Path | None, words: tuple[str, ...]) -> None:
    """Run blocks or a job."""
    if not words:
        message = "name the job or the blocks to run, such as `d365fo-tableau run finance`"
        raise ConfigError(message)
    project = find_project(Path.cwd())
    kept = ledger_path or project / "var/ledger.db"
    if kept.is_file():
        with Ledger.reading(kept) as ledger:
            ledger.verify()
    program = find_meltano() if meltano is None else meltano.absolute()
    run_id = current_run_id()
    click.echo(f"run {run_id}", err=True)
    with tempfile.TemporaryDirectory(prefix="d365fo-tableau-") as notes:
        told = catch_signals()
        try:
            child = subprocess.Popen(  # noqa: S603 - the operator's own blocks, no shell
                [str(program), f"--cwd={project}", "run", *words],
                env={**os.environ, "MELTANO_RUN_ID": run_id, exit_notes.VARIABLE: notes},
                start_new_session=True,
            )
        except OSError as error:
            message = f"{program} cannot be started: {error.strerror}; name another with --meltano"
            raise ConfigError(message) from error
        ending = wait_for(child, told)
        cause = exit_notes.first_failure(Path(notes))
    if ending is Ending.STOPPED:
        _leave(STOPPED, "told to stop; nothing was published that is not whole")
    if child.returncode == 0:
        return
    if cause is not None:
        name, code = cause.command, cause.code
        _leave(code, f"{name} ended with exit code {code}; its last line says why")
    code = shell_code(child.returncode)
    _leave(
        code, f"meltano ended with exit code {code}, and no plugin of ours failed; its log says why"
    )


def _leave(code: int, why: str) -> None:
    click.echo(f"d365fo-tableau: {why}", err=True)
    sys.exit(code)
