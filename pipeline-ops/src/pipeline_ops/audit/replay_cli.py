"""``d365fo-tableau replay``: repeat a run."""

from __future__ import annotations

import functools
import getpass
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import ConfigError
from pipeline_core.run_id import uuid7
from pipeline_ops.audit.choose import Runs, opened
from pipeline_ops.audit.replay_plan import Way, check_order, plan_replay
from pipeline_ops.audit.runs_cli import format_option, ledger_option
from pipeline_ops.extras import needs_extra
from pipeline_ops.project import find_project, plugin_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_ops.audit.replay import Compared, Replayed


_HELP = """Repeat RUN in the Meltano project of this folder, and compare.

RUN is an id, the beginning of one, or `latest` (that is no replay). The replay is a run with
an id of its own.

\b
--from pages     the tap emits the archived answers once more, through `meltano run`;
                 D365 is not asked. Needs the tap's archive_path.
--from extract   the extracts that RUN sealed are published once more, whole.
--from delivery  a delivery of RUN that failed or broke off is completed.

Afterwards the figures that were sent, the rows of the extracts, row by row, and their sums must
be those of RUN: exit code 70 where they are not.

A run whose streams a later run has changed is refused: its values would be older than what
Tableau shows. With --force --reason TEXT it is done, and both go into the ledger. With --into DIR
nothing but DIR changes, and nothing is refused.
"""


@click.command("replay", help=_HELP)
@click.argument("run")
@click.option(
    "--from",
    "way",
    type=click.Choice([way.value for way in Way]),
    default=Way.PAGES.value,
    show_default=True,
    help="The archived answers of D365, the sealed extracts, or a delivery that waits.",
)
@click.option("--force", is_flag=True, help="Although a later run has changed the same streams.")
@click.option("--reason", metavar="TEXT", help="Why; kept in the ledger with your name.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    help="Write the extracts there, publish nothing and leave the state alone: to look at.",
)
@click.option("--tap", default="tap-d365fo", show_default=True, help="Its name in meltano.yml.")
@click.option(
    "--target", default="target-tableau-hyper", show_default=True, help="Its name in meltano.yml."
)
@click.option("--state-id-suffix", metavar="TEXT", help="As your runs give it to `meltano run`.")
@ledger_option()
@format_option()
def replay_command(  # noqa: PLR0917 - one an option
    run: str,
    way: str,
    tap: str,
    target: str,
    reason: str | None,
    state_id_suffix: str | None,
    into: Path | None,
    ledger_path: Path,
    output_format: str,
    *,
    force: bool,
) -> None:
    """Repeat a run, and compare."""
    with needs_extra("trace"):
        from pipeline_ops.audit.replay import Project, concerned, replay  # noqa: PLC0415

    chosen = Way(way)
    replay_id = str(uuid7())
    ledger_path = ledger_path.resolve()
    project = Project(
        find_project(Path()), tap, target, functools.cache(plugin_config), state_id_suffix, into
    )
    with opened(ledger_path, run_id=replay_id) as ledger:
        runs = Runs.of(ledger)
        plan = plan_replay(runs, runs.find(run, replays=False))
        if into is not None and chosen is not Way.PAGES:
            message = "--into goes with --from pages: extracts and deliveries are there already"
            raise ConfigError(message)
        if into is None:
            check_order(plan, chosen, force=force, reason=reason)
        streams = concerned(plan, chosen, project, runs)
        if not streams and chosen is Way.DELIVERY:
            click.echo(f"no delivery of run {plan.run_id} waits: Tableau has confirmed all of it")
            return
        with ledger.effect(
            "replay",
            replay_of=plan.run_id,
            way=chosen.value,
            user=_user(),
            reason=reason,
            forced=force,
            into=str(into) if into else None,
            later=plan.later,
        ) as effect:
            result = replay(plan, chosen, streams, project=project, ledger=ledger, run_id=replay_id)
            effect.verified(compared=result.as_dict()["compared"])
    if output_format == "json":
        click.echo(json.dumps(result.as_dict(), indent=2, ensure_ascii=False))
        return
    for line in _lines(result):
        click.echo(line)


def _user() -> str:
    """Who types; by number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _lines(result: Replayed) -> Iterator[str]:
    yield f"Run {result.replay_of} replayed from {result.way}, as run {result.run_id}"
    for compared in result.compared:
        yield from _stream(compared)
    for delivery in result.delivered:
        job = f", job {delivery['job_id']}" if delivery["job_id"] else ""
        why = f", {delivery['why']}" if delivery["why"] else ""
        yield f"  {delivery['datasource']}: {delivery['outcome']}{job}{why}"


def _stream(compared: Compared) -> Iterator[str]:
    told = []
    if compared.records is not None:
        same = {True: ", figures the same", None: "", False: ", FIGURES DIFFER"}
        told.append(f"{compared.records:,} records sent{same[compared.figures_same]}")
    if compared.rows is not None:
        same = {True: ", the same as before", None: "", False: ", NOT AS BEFORE"}
        told.append(f"{compared.rows:,} rows, digest {compared.digest}{same[compared.rows_same]}")
    if compared.sealed_same is not None:
        told.append("sums as sealed" if compared.sealed_same else "SUMS NOT AS SEALED")
    yield f"  {compared.stream}: {'; '.join(told) or 'nothing'}"
