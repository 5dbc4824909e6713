"""The ``tap-d365fo`` command."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from pipeline_core.edge import run_guarded
from tap_d365fo.tap import TapD365FO


def main() -> NoReturn:
    """Run the tap; failures end in one sentence and the exit codes of ``pipeline_core.errors``."""
    run_guarded(_command, name=TapD365FO.name)


def _command() -> None:
    try:
        sys.exit(TapD365FO.cli.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        raise KeyboardInterrupt from error
