"""The command ``target-tableau-hyper``."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

import click
from singer_sdk.exceptions import SingerSDKError

from pipeline_core.edge import run_guarded
from pipeline_core.errors import ConfigError, PipelineError
from pipeline_core.redaction import install_redaction
from target_tableau_hyper.target import HyperTarget


def main() -> NoReturn:
    """Run the command; failures end in one sentence on stderr and the exit code of their kind."""
    run_guarded(_command, name=HyperTarget.name)


def _command() -> None:
    command = HyperTarget.cli  # sets up the log
    install_redaction()
    # What it tells of retries names the server's address again and again; the session tells once.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        sys.exit(command.main(standalone_mode=False))
    except PipelineError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort as error:
        raise KeyboardInterrupt from error
    except SingerSDKError as error:
        # What is left are settings of stream maps and flattening.
        message = f"{type(error).__name__}: {error}"
        raise ConfigError(message) from error
