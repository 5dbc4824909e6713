"""The plugins' settings as they would see them, and how their secrets are kept."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from jsonschema import Draft7Validator

from pipeline_core.config import describe_config_errors
from pipeline_core.errors import ConfigError
from pipeline_core.secrets.reference import is_reference
from pipeline_core.secrets.resolve import resolve_secrets, secret_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline_ops.check.findings import Checklist

AREA = "settings"


def effective(config: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with defaults filled in, secrets resolved and masked, and checked.

    Raises:
        ConfigError: a reference leads nowhere, or a value does not fit.
    """
    known = schema["properties"]
    filled = {
        **{name: copy.deepcopy(p["default"]) for name, p in known.items() if "default" in p},
        **{name: value for name, value in config.items() if value is not None},
    }
    resolved, _ = resolve_secrets(filled, secret_settings(schema))
    if not Draft7Validator(dict(schema)).is_valid(resolved):
        raise ConfigError(describe_config_errors(schema, resolved))
    return resolved


def check_secrets(
    checks: Checklist,
    plugin: str,
    config: Mapping[str, Any],
    schema: Mapping[str, Any],
    project: Path | None,
) -> None:
    """Whether secrets are kept in a store; one row for each that is set."""
    for name in secret_settings(schema):
        value = config.get(name)
        if not value:
            continue
        subject = f"{plugin} {name}"
        if is_reference(value):
            # Whether it leads to a value was seen when the settings were resolved.
            checks.ok(AREA, subject, f"kept as {value}")
            continue
        where, meaning = _exposure(str(value), project)
        checks.warn(
            AREA,
            subject,
            f"the value itself is set {where}: {meaning}",
            f"put it into a store (`d365fo-tableau secrets set {_set_of(plugin)} {_field(name)}`), "
            f"set {name} to secret://vault/{_set_of(plugin)}#{_field(name)}, and renew the secret "
            "where others may have read it",
        )


def _exposure(value: str, project: Path | None) -> tuple[str, str]:
    """Where a plain value stands, and what that means."""
    for name, meaning in (
        ("meltano.yml", "it is in version control and in every copy of the project"),
        (".env", "every process and user that reads this file has it"),
    ):
        file = project / name if project else None
        if file is not None and file.is_file():
            try:
                found = value in file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if found and name == ".env" and file.stat().st_mode & 0o077:
                return "in .env, which other users of this machine can read", meaning
            if found:
                return f"in {name}", meaning
    return (
        "in the environment or in Meltano's database",
        "Meltano writes it to disk in clear for each run, and child processes inherit it",
    )


def _set_of(plugin: str) -> str:
    return "d365fo" if plugin.startswith("tap-") else "tableau"


def _field(setting: str) -> str:
    return setting.removeprefix("tableau_")
