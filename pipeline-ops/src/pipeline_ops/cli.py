"""The ``d365fo-tableau`` command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from pipeline_core.edge import run_guarded
from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger
from pipeline_core.run_id import current_run_id
from pipeline_ops.check.cli import check
from pipeline_ops.listen.cli import listen
from pipeline_ops.listen.webhooks_cli import webhooks
from pipeline_ops.preview.cli import preview
from pipeline_ops.runs import summarise
from pipeline_ops.secrets_cli import secrets
from pipeline_ops.status.cli import status

_NAME = "d365fo-tableau"


def main() -> NoReturn:
    """Run the command; exit codes are those of ``pipeline_core.errors``."""
    run_guarded(_command, name=_NAME)


def _command() -> None:
    try:
        sys.exit(cli.main(prog_name=_NAME, standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        raise KeyboardInterrupt from error


@click.group()
def cli() -> None:
    """Look after the pipeline from D365 F&O to Tableau."""


cli.add_command(secrets)
cli.add_command(listen)
cli.add_command(webhooks)
cli.add_command(check)
cli.add_command(preview)
cli.add_command(status)


@cli.group()
@click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path),
    default=Path("var/ledger.db"),
    show_default=True,
    envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
    help="The audit ledger that tap and target write (their setting ledger_path).",
)
@click.pass_context
def runs(context: click.Context, ledger_path: Path) -> None:
    """Past runs, from the audit ledger."""
    context.obj = ledger_path


def _open(ledger_path: Path) -> Ledger:
    if not ledger_path.is_file():
        message = f"there is no ledger at {ledger_path}; run the pipeline once or pass --ledger"
        raise ConfigError(message)
    return Ledger(ledger_path, run_id=current_run_id(), actor=_NAME)


@runs.command("list")
@click.pass_obj
def list_runs(ledger_path: Path) -> None:
    """One line a run, the latest last."""
    with _open(ledger_path) as ledger:
        found = summarise(ledger.events())
    for run in found:
        began = run.first_ts[:19].replace("T", " ")
        click.echo(f"{run.run_id}  {began}  {run.outcome:10}  {run.rows:>10,} rows read")
        for effect in run.open_intents.values():
            click.echo(f"    {effect}: begun, end unknown; look at the server")


@runs.command()
@click.argument("run_id")
@click.pass_obj
def show(ledger_path: Path, run_id: str) -> None:
    """Every event of one run, in order."""
    with _open(ledger_path) as ledger:
        events = list(ledger.events(run_id=run_id))
    if not events:
        message = f"the ledger has no run {run_id}; see `{_NAME} runs list`"
        raise ConfigError(message)
    for event in events:
        facts = " ".join(f"{name}={value}" for name, value in event.body.items())
        click.echo(f"{event.ts[:23]}  {event.actor:20} {event.event:22} {facts}")


@runs.command()
@click.pass_obj
def verify(ledger_path: Path) -> None:
    """Check the hash chain; exit code 70 names the first row that was changed."""
    with _open(ledger_path) as ledger:
        rows = ledger.verify()
        click.echo(f"{rows} rows, chain unbroken; head {ledger.head[1]}")
