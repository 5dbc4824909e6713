"""``target-tableau-hyper publish``: deliver sealed extracts without any Singer input."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import ConfigError
from target_tableau_hyper.commands.options import config_option, needed_tableau
from target_tableau_hyper.delivery.deliver import deliver_all
from target_tableau_hyper.delivery.plan import Way
from target_tableau_hyper.extract.merge import Delta
from target_tableau_hyper.extract.shelf import choose
from target_tableau_hyper.loading import Sealed
from target_tableau_hyper.refresh.dependents import Dependents
from target_tableau_hyper.run import Run
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.commands.options import Setup
    from target_tableau_hyper.extract.store import ExtractStore
    from target_tableau_hyper.settings import Settings

_HELP = """Deliver the sealed extracts of output_dir to Tableau, without any Singer input.

What Tableau already holds is left alone; what is pending (a failed delivery, a run with publish:
none, a data source that somebody removed or changed) is published whole. Every extract is checked
against its manifest first, and nothing is sent that was altered. Then the setting `refresh` is
obeyed as at the end of a run. NAME is a stream, data source or file; without one all are looked at.

\b
Examples:
  target-tableau-hyper publish --config ENV
  target-tableau-hyper publish --config target.json --force VendorsV2

\b
Exit codes: 0 all is there, 70 an extract does not match its manifest, 73 a run holds output_dir,
75 a delivery or refresh failed, 77 identity or right missing, 78 a setting or name is wrong.
"""


def publish(setup: Setup, *, names: tuple[str, ...], force: bool) -> None:
    """Deliver what is pending; with ``force`` also what Tableau has.

    Raises:
        IntegrityError: an extract is not what was sealed; nothing is sent then.
        PipelineError: something was not delivered.
    """
    # A run with ``publish: none`` only writes files, and this command is how they get out.
    changed = {"publish": "auto"} if setup.config["publish"] == "none" else {}
    settings = setup.settings(**changed)
    tableau = needed_tableau(settings)
    choose(settings.output_dir, names)  # before the lock makes a directory
    run = Run(settings, setup.logger)
    with run.guard():
        stores = choose(settings.output_dir, names)
        sealed = sealed_on_disk(settings, stores, force=force)
        if not sealed:
            message = f"output_dir {str(settings.output_dir)!r} holds no extract to publish"
            raise ConfigError(message)
        dependents = Dependents(run)
        with TableauSession(tableau, setup.logger) as session:
            dependents.announce(session)
            delivered = deliver_all(run, session, sealed)
        for item in delivered:
            sent = item.decision.way is not Way.NOTHING
            setup.logger.info(
                "%s: %s rows, %s",
                item.parcel.name,
                f"{item.parcel.rows:,}",
                f"published in {item.seconds:.1f} s" if sent else "Tableau has it already",
            )
        dependents.refresh(delivered)
        run.ledger.append("run.finished", streams=len(sealed))
    run.close()


def sealed_on_disk(
    settings: Settings, stores: Sequence[ExtractStore], *, force: bool = False
) -> list[Sealed]:
    """The extracts as a run that changed nothing would hand them to the delivery.

    Args:
        settings: Say what the data sources are called now.
        stores: Where the extracts lie; each is proved to be the sealed one.
        force: Forget what Tableau confirmed, so that each is published.

    Raises:
        IntegrityError: extract and manifest do not belong together.
    """
    sealed = []
    for store in stores:
        manifest = store.load()
        if manifest is None:
            continue
        name = settings.datasource(manifest.stream).name or manifest.stream
        delivered = None if force else manifest.delivered
        sealed.append(
            Sealed(
                store, replace(manifest, datasource=name, delivered=delivered), Delta(), None, 0.0
            )
        )
    return sealed


PUBLISH = click.Command(
    "publish",
    callback=publish,
    help=_HELP,
    short_help="Deliver sealed extracts without Singer input.",
    params=[
        click.Argument(["names"], nargs=-1, metavar="[NAME]..."),
        config_option(),
        click.Option(
            ["--force", "--all", "force"],
            is_flag=True,
            help="Publish also what Tableau already has.",
        ),
    ],
)
