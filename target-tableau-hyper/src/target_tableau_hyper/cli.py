"""The command ``target-tableau-hyper``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click
from singer_sdk.exceptions import SingerSDKError

from pipeline_core.edge import run_guarded
from pipeline_core.errors import ConfigError, PipelineError
from target_tableau_hyper.target import HyperTarget, ReaderGoneError


def main() -> NoReturn:
    """Run the command; failures end in one sentence on stderr and the exit code of their kind."""
    run_guarded(_command, name=HyperTarget.name)


def _command() -> None:
    try:
        code = HyperTarget.cli(standalone_mode=False)
    except PipelineError:
        raise
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ReaderGoneError as error:
        # What is still in the buffer must not fail again when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise BrokenPipeError from error
    except click.Abort:
        raise KeyboardInterrupt from None
    except SingerSDKError as error:
        # What is left are settings of stream maps and flattening.
        message = f"{type(error).__name__}: {error}"
        raise ConfigError(message) from error
    if isinstance(code, int):
        sys.exit(code)
