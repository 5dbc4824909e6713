"""``d365fo-tableau check``: would a run work?"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline_core.errors import ConfigError
from pipeline_core.redaction import REDACTOR, install_redaction
from pipeline_ops.extras import needs_extra
from pipeline_ops.project import find_project, plugin_config
from pipeline_ops.stopping import unwinding
from pipeline_ops.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline_ops.check.findings import Finding

_Command = TypeVar("_Command", bound="Callable[..., object]")

_HELP = """Ask both systems whether a run would work; nothing is changed on either side.

The settings are those of the Meltano project in this folder or above, as `meltano run` would use
them (MELTANO_ENVIRONMENT, else the project's default environment), or JSON files.

\b
  settings  valid? secrets kept in a store, or in clear?
  D365      clock, token, application registered in F&O; each entity: published, readable, rows,
            strategy; each company: rows visible
  Tableau   clock, sign-in and role, version, update of rows (PATCH), site, projects and the right
            to publish, owners, webhooks, what `refresh` names
  machine   directories, disk space, hyperd

While a run goes on, Tableau is not asked with a personal access token: signing in would end the
run's session.

\b
Examples:
  d365fo-tableau check
  MELTANO_ENVIRONMENT=prod d365fo-tableau check --no-counts
  d365fo-tableau check --tap-config tap.json --target-config target.json --format json

\b
Exit codes: 0 a run should work (warnings or not); otherwise that of the failure to see to first: 78
setting, name or permission, 77 identity refused, 65 data, 73 busy, 75 try again later.
"""

_SIGNS = {
    "ok": "\N{CHECK MARK} ok",
    "warning": "! warning",
    "failed": "\N{MULTIPLICATION X} failed",
}


def _file(name: str, words: str) -> Callable[[_Command], _Command]:
    return click.option(
        name,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help=f"JSON file with {words} settings, instead of the project's.",
    )


@click.command(help=_HELP)
@_file("--tap-config", "the tap's")
@_file("--target-config", "the target's")
@click.option(
    "--only",
    type=click.Choice(["d365", "tableau"]),
    help="Look at one side; the machine belongs to the side of Tableau.",
)
@click.option(
    "--counts/--no-counts",
    default=True,
    show_default=True,
    help="Let F&O count the rows of each entity, which takes it a while on large ones.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
)
def check(
    tap_config: Path | None,
    target_config: Path | None,
    only: str | None,
    output_format: str,
    *,
    counts: bool,
) -> None:
    """Would a run work?"""
    with needs_extra("check"):
        from pipeline_ops.check.findings import Checklist  # noqa: PLC0415 - an optional extra
        from pipeline_ops.check.run import TAP, TARGET, Configs, run_checks  # noqa: PLC0415 - too
    install_redaction()
    given = (tap_config, target_config)
    project = None if any(given) else find_project(Path())

    def config(name: str, file: Path | None, side: str) -> dict[str, Any] | None:
        if only not in (None, side):
            return None
        if project is not None:
            return plugin_config(name, project=project)
        return _read(file) if file is not None else None

    configs = Configs(
        config(TAP, tap_config, "d365"), config(TARGET, target_config, "tableau"), project
    )
    checks = Checklist(_progress)
    with unwinding("told to stop (SIGTERM); nothing was changed on either side"):
        run_checks(checks, configs, counts=counts)
    _progress_ends()
    if output_format == "json":
        told = [asdict(finding) for finding in checks.findings]
        click.echo(REDACTOR.redact(json.dumps(told, indent=2, ensure_ascii=False)))
    else:
        for line in _table(checks.findings):
            click.echo(REDACTOR.redact(line))
    error = checks.conclusion()
    if error is not None:
        raise error


def _progress(finding: Finding) -> None:
    """A line that the next one takes the place of, for somebody who waits at a terminal."""
    if sys.stderr.isatty():
        text = f"{finding.area}: {finding.subject}"[: shutil.get_terminal_size().columns - 1]
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _progress_ends() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _table(findings: list[Finding]) -> list[str]:
    rows = [
        [
            _SIGNS[finding.verdict],
            finding.area,
            finding.subject,
            _told(finding),
        ]
        for finding in findings
    ]
    width = shutil.get_terminal_size((160, 24)).columns
    count = {sign: sum(f.verdict == sign for f in findings) for sign in _SIGNS}
    return [
        *as_table(["RESULT", "WHERE", "CHECK", "FOUND"], rows, width=width),
        "",
        f"{count['ok']} ok, {count['warning']} to look at, {count['failed']} failed",
    ]


def _told(finding: Finding) -> str:
    """Found and to do, in a sentence or two; that of a failure is one of our messages."""
    if not finding.todo:
        return f"{finding.found}."
    join = "; " if finding.verdict == "failed" else ". To do: "
    end = "" if finding.todo.endswith(("?", ".")) else "."
    return f"{finding.found}{join}{finding.todo}{end}"


def _read(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_bytes())
    except ValueError as error:
        message = f"{file} is no JSON; give the settings as the plugin's --config takes them"
        raise ConfigError(message) from error
    if not isinstance(config, dict):
        message = f"{file} holds no JSON object; give the settings as the plugin's --config does"
        raise ConfigError(message)
    return config
