"""The ``tap-d365fo`` command."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

import click

from pipeline_core.edge import run_guarded
from pipeline_core.redaction import install_redaction
from tap_d365fo.tap import TapD365FO


def main() -> NoReturn:
    """Run the tap; failures end in one sentence and the exit codes of ``pipeline_core.errors``."""
    run_guarded(_command, name=TapD365FO.name)


def _command() -> None:
    command = TapD365FO.cli  # sets up the log
    install_redaction()
    # Both tell of requests with their whole query at DEBUG.
    for chatty in ("urllib3", "msal"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        sys.exit(command.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        raise KeyboardInterrupt from error
