"""What all commands share: ``--config``, ``--format``, and settings made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pipeline_core.errors import ConfigError
from target_tableau_hyper.run import Run
from target_tableau_hyper.settings import Settings
from target_tableau_hyper.target import HyperTarget

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    from target_tableau_hyper.settings import TableauSettings


class _SettingsReader(HyperTarget):
    """The target for its settings' sake: what is needed to publish may be missing."""

    def _new_run(self) -> Run:
        return Run(Settings.from_config({**self.config, "publish": "none"}), self.logger)


@dataclass(frozen=True, slots=True)
class Setup:
    """Settings and log of a command.

    Attributes:
        config: The validated settings, defaults filled in.
        logger: The target's own.
    """

    config: Mapping[str, Any]
    logger: logging.Logger

    def settings(self, **changes: object) -> Settings:
        """Typed settings, with changes that a command makes.

        Raises:
            ConfigError: settings that belong together are not all there.
        """
        return Settings.from_config({**self.config, **changes})


def config_option() -> click.Option:
    """``--config``, as the Singer command has it."""
    return click.Option(
        ["--config", "setup"],
        multiple=True,
        metavar="FILE|ENV",
        help="Settings file, or ENV for TARGET_TABLEAU_HYPER_<SETTING>; repeatable.",
        callback=_read,
    )


def format_option() -> click.Option:
    """``--format``: text for people, JSON for machines."""
    return click.Option(
        ["--format", "output_format"],
        type=click.Choice(["table", "json"]),
        default="table",
        help="How the result is written; decimals are text in both.",
    )


def needed_tableau(settings: Settings) -> TableauSettings:
    """The Tableau settings.

    Raises:
        ConfigError: they are not there.
    """
    if settings.tableau is None:
        message = "tableau_server_url is not set; give it with --config FILE or --config ENV"
        raise ConfigError(message)
    return settings.tableau


def _read(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> Setup:
    assert isinstance(parameter, click.Option)  # noqa: S101 - made above
    given = HyperTarget.cb_config(context, parameter, value)
    target = _SettingsReader(config=given.config, parse_env_config=given.parse_env)
    return Setup(target.config, target.logger)
