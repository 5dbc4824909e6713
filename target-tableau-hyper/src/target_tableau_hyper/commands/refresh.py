"""``target-tableau-hyper refresh``: refresh what depends on data that landed elsewhere."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import ConfigError
from pipeline_core.ledger import open_ledger
from pipeline_core.run_id import current_run_id
from target_tableau_hyper.commands.options import config_option, needed_tableau
from target_tableau_hyper.refresh.find import find_all
from target_tableau_hyper.refresh.refresher import Refresher
from target_tableau_hyper.refresh.settings import entries
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from target_tableau_hyper.commands.options import Setup

_HELP = """Refresh data sources and workbooks that have an extract of their own.

For pipelines that land in a database: once the rows are there, ask Tableau to read them again,
follow the jobs to their end, and tell of each. Without --datasource and --workbook the setting
`refresh` says what to refresh. Nothing is read from or written to output_dir.

\b
Examples:
  target-tableau-hyper refresh --config ENV --datasource "Finance/Spend mart"
  target-tableau-hyper refresh --config target.json --workbook "Finance/Payables" --no-wait
  meltano run tap-d365fo target-postgres tableau-refresh:refresh

A refresh that is queued already counts: it reads its source when it begins.

\b
Exit codes: 0 refreshed (or asked for, with --no-wait), 75 a refresh failed or is not over in time,
77 identity or right missing, 78 unknown name or nothing to refresh.
"""


def refresh(
    setup: Setup,
    *,
    datasources: tuple[str, ...],
    workbooks: tuple[str, ...],
    wait: bool | None,
    timeout_s: int | None,
) -> None:
    """Refresh what the options name, or else the settings.

    Raises:
        ConfigError: there is nothing to refresh, or not on this site.
        PipelineError: a refresh failed.
    """
    # Whether this target publishes has nothing to do with what others did.
    settings = setup.settings(publish="auto")
    tableau = needed_tableau(settings)
    wanted = entries(datasources, workbooks) or settings.refresh.entries
    if not wanted:
        message = (
            "there is nothing to refresh: name it with --datasource or --workbook, or in the "
            "setting refresh"
        )
        raise ConfigError(message)
    ledger = open_ledger(
        settings.ledger_path, run_id=current_run_id(), actor="target-tableau-hyper"
    )
    with closing(ledger), TableauSession(tableau, setup.logger) as session:
        Refresher(
            session,
            ledger,
            setup.logger,
            wait=settings.refresh.wait if wait is None else wait,
            timeout_s=timeout_s or settings.refresh.timeout_s or tableau.job_timeout_s,
        ).refresh(find_all(session, wanted))


REFRESH = click.Command(
    "refresh",
    callback=refresh,
    help=_HELP,
    short_help="Refresh data sources and workbooks of a site.",
    params=[
        config_option(),
        click.Option(
            ["--datasource", "datasources"],
            multiple=True,
            metavar="PATH/NAME",
            help="Data source to refresh, by project path and name or by LUID; repeatable.",
        ),
        click.Option(
            ["--workbook", "workbooks"],
            multiple=True,
            metavar="PATH/NAME",
            help="Workbook to refresh, likewise; repeatable.",
        ),
        click.Option(
            ["--wait/--no-wait"],
            default=None,
            help="Follow the jobs to their end (default), or only ask for them.",
        ),
        click.Option(
            ["--timeout", "timeout_s"],
            type=click.IntRange(min=1),
            metavar="S",
            help="Seconds for all refreshes together; default: refresh.timeout, then job_timeout.",
        ),
    ],
)
