"""``d365fo-tableau runs trace``: from a number in Tableau to the answer of D365."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline_core.errors import IntegrityError
from pipeline_ops.audit.choose import Runs, opened
from pipeline_ops.audit.runs_cli import format_option
from pipeline_ops.audit.telling import day_and_time
from pipeline_ops.extras import needs_extra
from pipeline_ops.project import find_project, plugin_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline_ops.audit.trace import Trace


_HELP = """Find where a number comes from.

The row in the extract (only a copy is opened), the run that brought it, the archived page in
which D365 sent it, and the value in that page, digit by digit. Exit code 70 when they differ.

\b
Example:
  d365fo-tableau runs trace --datasource VendTransBiEntities \\
      --key dataAreaId=usmf --key SourceKey=5637144576 --column AmountMST
"""


@click.command("trace", help=_HELP)
@click.option("--datasource", required=True, metavar="NAME", help="Data source, stream or file.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="COLUMN=VALUE",
    help="What names the row; repeatable.",
)
@click.option("--column", metavar="COLUMN", help="The cell that matters; without it, all are told.")
@click.option(
    "--output-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the extracts lie; by default as the target is set in meltano.yml.",
)
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the pages are kept; by default the tap's archive_path.",
)
@format_option()
@click.pass_obj
def trace_command(  # noqa: PLR0917 - one an option
    ledger_path: Path,
    datasource: str,
    keys: tuple[str, ...],
    column: str | None,
    output_dir: Path | None,
    archive: Path | None,
    output_format: str,
) -> None:
    """Find where a number comes from."""
    with needs_extra("trace"):
        from pipeline_ops.audit.trace import trace  # noqa: PLC0415 - an extra

    if output_dir is None:
        output_dir = _setting("target-tableau-hyper", "output_dir") or Path("output")
        archive = archive or _setting("tap-d365fo", "archive_path")
    with opened(ledger_path) as ledger:
        traced = trace(
            Runs.of(ledger),
            output_dir=output_dir,
            archive=archive,
            datasource=datasource,
            key=dict(_pair(text) for text in keys),
            column=column,
        )
    if output_format == "json":
        click.echo(json.dumps(traced.as_dict(), indent=2, ensure_ascii=False))
    else:
        for line in _lines(traced):
            click.echo(line)
    if traced.differences:
        message = (
            f"{', '.join(traced.differences)}: the extract does not hold what the page says; a "
            "stream map may have changed it, or the row was read again without an archive"
        )
        raise IntegrityError(message)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        message = f"{text!r} is not COLUMN=VALUE"
        raise click.BadParameter(message, param_hint="--key")
    return name, value


def _setting(plugin: str, name: str) -> Path | None:
    """A path that the project sets for a plugin; plugins run in the project's folder."""
    value = plugin_config(plugin).get(name)
    return find_project(Path()) / str(value) if value else None


def _lines(traced: Trace) -> Iterator[str]:
    yield f"{traced.datasource}: a row of {traced.file}"
    for name, value in traced.row.items():
        yield f"  {name} = {'NULL' if value is None else value}"
    for name, value in traced.metadata.items():
        yield f"  {name} = {'NULL' if value is None else value}"
    yield f"  sealed by run {traced.sealed_by}, current as of {traced.as_of}"
    yield f"  sha256 of the file {traced.sha256}"
    yield ""
    if traced.run_id:
        yield f"Brought by run {traced.run_id} (by {traced.known_by})"
    else:
        yield "The run that brought it is not known: the rows have no _audit_run_id"
        yield "  (target's add_record_metadata), and no archived page has the row"
    yield ""
    page = traced.page
    if page is None:
        yield f"As the server sent it: not known, because {traced.why_no_page}"
    else:
        yield f"As the server sent it, in answer {page.number} of run {page.run_id}"
        yield f"  GET {page.asked}"
        yield f"  received {day_and_time(page.received_at)} UTC, kept in {page.file}"
        yield f"  sha256 of the answer {page.sha256}, checked"
        for name, raw in page.values.items():
            same = "the same" if page.equal[name] else "NOT THE SAME"
            yield f'  "{name}":{raw}   {same}'
    yield ""
    if not traced.deliveries:
        yield "The extract as it is was not delivered by any run of this ledger"
    for done in traced.deliveries:
        job = f", job {done['job_id']}" if done.get("job_id") else ""
        yield (
            f"{done['outcome']}: {done.get('project', '?')}/{done['datasource']} "
            f"({done.get('way', done.get('why', '?'))}) by run {done['run_id']}, "
            f"{day_and_time(done['began'])} UTC{job}"
        )
