"""``d365fo-tableau runs``: past runs, from the audit ledger."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline_ops.audit.choose import Runs, matching, opened, parse_when
from pipeline_ops.audit.story import tell
from pipeline_ops.audit.telling import as_json, as_text, day_and_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline_core.ledger import Event
    from pipeline_ops.runs import RunSummary

F = TypeVar("F", bound="Callable[..., Any]")


def ledger_option() -> Callable[[F], F]:
    """``--ledger``, for every command that reads it."""
    return click.option(
        "--ledger",
        "ledger_path",
        type=click.Path(path_type=Path),
        default=Path("var/ledger.db"),
        show_default=True,
        envvar="TARGET_TABLEAU_HYPER_LEDGER_PATH",
        help="The audit ledger that tap and target write (their setting ledger_path).",
    )


def format_option() -> Callable[[F], F]:
    """``--format``: text for people, JSON for machines."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="JSON has everything, amounts as exact text.",
    )


@click.group()
@ledger_option()
@click.pass_context
def runs(context: click.Context, ledger_path: Path) -> None:
    """Past runs, from the audit ledger.

    RUN is a run's id, the beginning of one, or `latest`.
    """
    context.obj = ledger_path


@runs.command("list")
@click.option("--since", metavar="WHEN", help="Began at or after: 2026-11-24, 12h, 7d, 2w.")
@click.option("--until", metavar="WHEN", help="Began before.")
@click.option("--outcome", type=click.Choice(["complete", "failed", "incomplete"]))
@click.option("--stream", metavar="NAME", help="Read this stream.")
@click.option("--datasource", metavar="NAME", help="Delivered, or looked at, this data source.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="The last N of them.")
@format_option()
@click.pass_obj
def list_runs(  # noqa: PLR0917 - one an option
    ledger_path: Path,
    since: str | None,
    until: str | None,
    outcome: str | None,
    stream: str | None,
    datasource: str | None,
    last: int | None,
    output_format: str,
) -> None:
    """One line a run, the latest last."""
    now = datetime.now(UTC)
    with opened(ledger_path) as ledger:
        found = matching(
            Runs.of(ledger).summaries(),
            since=parse_when(since, now=now) if since else None,
            until=parse_when(until, now=now) if until else None,
            outcome=outcome,
            stream=stream,
            datasource=datasource,
            last=last,
        )
    if output_format == "json":
        click.echo(_json([_as_dict(run) for run in found]))
        return
    for run in found:
        for line in _lines(run):
            click.echo(line)


@runs.command()
@click.argument("run")
@click.option("--events", is_flag=True, help="Print the rows of the ledger as they are.")
@format_option()
@click.pass_obj
def show(ledger_path: Path, run: str, *, events: bool, output_format: str) -> None:
    """Tell the whole story of one run.

    What was read of which company, when, and which sums; what was checked; what was sealed; what
    Tableau confirmed; what failed and was tried again; how long each part took.
    """
    with opened(ledger_path) as ledger:
        known = Runs.of(ledger)
        rows = known.events(known.find(run))
        story = tell(rows, all_deliveries=ledger.events(prefix="delivery."))
    if events and output_format == "json":
        click.echo(_json([_raw(event) for event in rows]))
    elif events:
        for event in rows:
            facts = " ".join(f"{name}={value}" for name, value in event.body.items())
            click.echo(f"{event.ts[:23]}  {event.actor:20} {event.event:22} {facts}")
    elif output_format == "json":
        click.echo(_json(as_json(story)))
    else:
        for line in as_text(story):
            click.echo(line)


@runs.command()
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="HASH@ROW",
    help="A head that a run logged and that was kept elsewhere; repeatable.",
)
@format_option()
@click.pass_obj
def verify(ledger_path: Path, heads: tuple[str, ...], output_format: str) -> None:
    """Check the hash chain; exit code 70 names the first row that was changed.

    A chain that was cut off at its end or written anew fits in itself: only a head that was kept
    elsewhere shows it. Tap and target log it at the end of each run (`ledger head HASH@ROW`).
    """
    with opened(ledger_path) as ledger:
        rows = ledger.verify()
        for head in heads:
            ledger.verify_head(head)
        anchor = ledger.anchor
    if output_format == "json":
        click.echo(_json({"rows": rows, "head": anchor, "anchored": list(heads)}))
        return
    told = f", {len(heads)} anchored head{'s' * (len(heads) > 1)} found in it" if heads else ""
    click.echo(f"{rows} rows, chain unbroken{told}; head {anchor}")


def _lines(run: RunSummary) -> Iterator[str]:
    delivered = f", {len(run.delivered)} published" if run.datasources else ""
    replay = f", replay of {run.replay_of}" if run.replay_of else ""
    yield (
        f"{run.run_id}  {day_and_time(run.first_ts)}  {run.outcome:10}  {run.rows:>10,} rows read"
        f"{delivered}{replay}"
    )
    for effect in run.open_intents.values():
        hint = "see what Meltano runs" if effect == "replay" else "look at the server"
        yield f"    {effect}: begun, end unknown; {hint}"


def _as_dict(run: RunSummary) -> dict[str, Any]:
    plain = {
        name: sorted(value) if isinstance(value, set) else value
        for name, value in asdict(run).items()
    }
    plain["open_intents"] = list(run.open_intents.values())
    return {**plain, "outcome": run.outcome}


def _raw(event: Event) -> dict[str, Any]:
    row = asdict(event)
    del row["body_json"]
    return {**row, "body": event.body}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
