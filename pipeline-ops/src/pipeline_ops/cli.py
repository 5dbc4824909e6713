"""The ``d365fo-tableau`` command."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from pipeline_core.edge import run_guarded
from pipeline_ops.audit.lineage_cli import lineage_command
from pipeline_ops.audit.replay_cli import replay_command
from pipeline_ops.audit.runs_cli import runs
from pipeline_ops.audit.trace_cli import trace_command
from pipeline_ops.calendar.cli import calendar
from pipeline_ops.check.cli import check
from pipeline_ops.listen.cli import listen
from pipeline_ops.listen.webhooks_cli import webhooks
from pipeline_ops.preview.cli import preview
from pipeline_ops.run_cli import run_command
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
cli.add_command(calendar)
cli.add_command(listen)
cli.add_command(webhooks)
cli.add_command(run_command)
cli.add_command(replay_command)
cli.add_command(runs)
runs.add_command(lineage_command)
runs.add_command(trace_command)
cli.add_command(check)
cli.add_command(preview)
cli.add_command(status)
