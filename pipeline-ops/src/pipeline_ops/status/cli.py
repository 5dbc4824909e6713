"""``d365fo-tableau status``: which data source is current as of when, and what needs somebody."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from pipeline_ops.extras import needs_extra
from pipeline_ops.pages.write import write_page

_HELP = """Tell which data source is current as of when, and what needs somebody.

For the controller: each data source with its time, rows and sums, what failed first. For the
engineer: runs, refreshes, what is not delivered yet, and whether the ledger's chain is unbroken.
It comes from the manifests beside the extracts and from the ledger; no extract is opened, nothing
is asked of D365 or Tableau, and a run may go on meanwhile.

\b
States, the most urgent first:
  Failed         a partition, a control or a delivery failed, or a file is gone
  Not delivered  loaded and sealed, and not in Tableau yet
  Late           older than --late-after
  File only      nothing is published
  Current        Tableau has what was found current at that time

\b
Examples:
  d365fo-tableau status
  d365fo-tableau status --html /srv/www/finance/status.html
  d365fo-tableau status --format json | jq '.datasources[] | select(.standing == "failed")'

\b
Exit codes: 0 told, whatever is told; 78 a setting is wrong.
"""


@click.command(help=_HELP)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    envvar="TARGET_TABLEAU_HYPER_OUTPUT_DIR",
    help="Where extracts and manifests lie (the target's setting output_dir).",
)
@click.option(
    "--ledger",
    "ledger_path",
    type=click.Path(path_type=Path),
    default=Path("var/ledger.db"),
    show_default=True,
    envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
    help="The audit ledger that tap and target write (their setting ledger_path).",
)
@click.option(
    "--late-after",
    type=click.FloatRange(min=0, min_open=True),
    default=36.0,
    show_default=True,
    metavar="HOURS",
    help="Age from which a data source is late.",
)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a page instead; an older one is replaced.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="What is written to standard output.",
)
def status(
    output_dir: Path, ledger_path: Path, late_after: float, file: Path | None, output_format: str
) -> None:
    """Tell how everything stands."""
    with needs_extra("status"):
        from pipeline_ops.status.gather import gather  # noqa: PLC0415 - an optional extra
        from pipeline_ops.status.page import (  # noqa: PLC0415 - likewise
            headline,
            status_json,
            status_page,
            status_table,
        )
    now = datetime.now(UTC)
    found = gather(output_dir, ledger_path, now=now, late_after=timedelta(hours=late_after))
    if file is not None:
        write_page(file, status_page(found))
        click.echo(f"{file}: {headline(found)}", err=output_format == "json")
    if output_format == "json":
        click.echo(status_json(found))
    elif file is None:
        for line in status_table(found, width=shutil.get_terminal_size((160, 24)).columns):
            click.echo(line)
