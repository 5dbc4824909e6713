"""The command ``target-tableau-hyper``: the Singer target, and commands beside it.

A command is named by the first argument. Without one it is the Singer target that it always was:
``target-tableau-hyper --config FILE < messages``, and ``--about``, ``--version`` for Meltano.
"""

from __future__ import annotations

import difflib
import logging
import sys
from typing import NoReturn

import click
from singer_sdk.exceptions import SingerSDKError

from pipeline_core.edge import run_guarded
from pipeline_core.errors import ConfigError, PipelineError
from pipeline_core.redaction import install_redaction
from target_tableau_hyper.commands.inspect import INSPECT
from target_tableau_hyper.commands.publish import PUBLISH
from target_tableau_hyper.commands.refresh import REFRESH
from target_tableau_hyper.commands.verify import VERIFY
from target_tableau_hyper.target import HyperTarget

COMMANDS = {str(command.name): command for command in (REFRESH, PUBLISH, VERIFY, INSPECT)}


def main() -> NoReturn:
    """Run the command; failures end in one sentence on stderr and the exit code of their kind."""
    run_guarded(_command, name=HyperTarget.name)


def _command() -> None:
    singer = HyperTarget.cli  # sets up the log
    install_redaction()
    # What it tells of retries names the server's address again and again; the session tells once.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        command, arguments, name = _chosen(singer, sys.argv[1:])
        sys.exit(command.main(arguments, prog_name=name, standalone_mode=False))
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


def _chosen(singer: click.Command, arguments: list[str]) -> tuple[click.Command, list[str], str]:
    """The command that the first argument names, its arguments, and what it is called."""
    name = HyperTarget.name
    first = arguments[0] if arguments else "-"
    if first in COMMANDS:
        return COMMANDS[first], arguments[1:], f"{name} {first}"
    if first.startswith("-"):
        return singer, arguments, name
    close = difflib.get_close_matches(first, COMMANDS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(COMMANDS)}"
    message = f"No such command {first!r}; {hint}"
    raise click.UsageError(message)
