"""The command ``target-tableau-hyper``."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click
from singer_sdk.exceptions import SingerSDKError

from pipeline_core.edge import run_guarded
from pipeline_core.errors import ConfigError
from target_tableau_hyper.target import HyperTarget


def main() -> NoReturn:
    """Run the command; failures end in one sentence on stderr and the exit code of their kind."""
    run_guarded(_command, name=HyperTarget.name)


def _command() -> None:
    try:
        code = HyperTarget.cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except FileNotFoundError as error:
        message = f"the file {str(error.filename)!r} does not exist; correct --config or --input"
        raise ConfigError(message) from error
    except json.JSONDecodeError as error:
        message = f"a --config file is no JSON (line {error.lineno}, column {error.colno})"
        raise ConfigError(message) from error
    except SingerSDKError as error:
        message = f"{type(error).__name__}: {error}"
        raise ConfigError(message) from error
    if isinstance(code, int):
        sys.exit(code)
