"""``d365fo-tableau preview``: one page with charts of what the extracts hold."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import click

from pipeline_core.errors import ConfigError
from pipeline_ops.extras import needs_extra
from pipeline_ops.pages.write import write_page
from pipeline_ops.stopping import unwinding

_HELP = """Draw what the extracts hold, as one HTML page.

Spend by vendor, payables by age and the general ledger by month and company, each with its figures
in a table. The page needs nothing but itself: it can be mailed, and opens without a network. The
extracts are read in private copies, so a run may go on meanwhile. A chart whose extract or column
is missing is left out, and the page says why.

\b
Examples:
  d365fo-tableau preview
  d365fo-tableau preview --output-dir output/demo --html demo.html
  d365fo-tableau preview --day 2026-10-31

\b
Exit codes: 0 written, 65 an extract cannot be read, 78 nothing can be drawn or a setting is wrong.
"""


@click.command(help=_HELP)
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("output"),
    show_default=True,
    envvar="TARGET_TABLEAU_HYPER_OUTPUT_DIR",
    help="Where the extracts lie (the target's setting output_dir).",
)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("var/preview.html"),
    show_default=True,
    help="The page to write; an older one is replaced.",
)
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="Day by which payables are aged; the day that the extract is of by default.",
)
def preview(output_dir: Path, file: Path, day: datetime | None) -> None:
    """Draw what the extracts hold."""
    with needs_extra("preview"):
        from pipeline_ops.preview.page import preview_page  # noqa: PLC0415 - an optional extra
    with unwinding("told to stop (SIGTERM); no page was written"):
        page = preview_page(output_dir, day=_date(day), now=datetime.now(UTC))
    if not page.drawn:
        message = f"nothing can be drawn: {'; '.join(page.left_out)}"
        raise ConfigError(message)
    write_page(file, page.html)
    click.echo(f"{file}: {', '.join(page.drawn)}")
    for reason in page.left_out:
        click.echo(f"left out: {reason}", err=True)


def _date(day: datetime | None) -> date | None:
    return day.date() if day is not None else None
