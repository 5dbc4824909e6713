"""``target-tableau-hyper verify``: is every extract still what was sealed?"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click
import pyarrow as pa

from pipeline_core.errors import IntegrityError, TransientError
from target_tableau_hyper.commands.options import config_option, format_option, needed_tableau
from target_tableau_hyper.commands.tables import write_json, write_table
from target_tableau_hyper.extract.commit import waiting
from target_tableau_hyper.extract.layout import TableColumn
from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.extract.schema import Kind
from target_tableau_hyper.extract.seal import read_back
from target_tableau_hyper.extract.shelf import choose
from target_tableau_hyper.lock import hold_directory
from target_tableau_hyper.tableau.datasources import find_datasource, stamp
from target_tableau_hyper.tableau.projects import find_project
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from target_tableau_hyper.commands.options import Setup
    from target_tableau_hyper.extract.figures import Figures
    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.extract.store import ExtractStore
    from target_tableau_hyper.settings import Settings

_HELP = """Check every extract of output_dir against its seal.

The file's SHA-256 must be the manifest's, and its rows and the sums of its number columns, counted
again by a second reader, must be those that were sealed. With --published the data source must be
as our last delivery left it, too. Only copies are read: no byte of an extract changes. NAME is a
stream, data source or file; without one all are checked.

\b
Examples:
  target-tableau-hyper verify --config target.json
  target-tableau-hyper verify --config ENV --published --format json VendorsV2

\b
Exit codes: 0 all hold, 70 one does not (the last line names it), 73 a run holds output_dir, 77
identity refused, 78 a setting or name is wrong.
"""


@dataclass(slots=True)
class Verdict:
    """What was found about one extract.

    Attributes:
        file: Name of the ``.hyper`` file.
        manifest: Its seal; ``None`` where there is none that can be read.
        found: Rows and sums as they are; ``None`` where they were not counted.
        problems: What does not hold, as readable pieces.
        published: What became of its data source; empty where nobody asked.
    """

    file: str
    manifest: Manifest | None = None
    found: Figures | None = None
    problems: list[str] = field(default_factory=list)
    published: str = ""


def verify(
    setup: Setup, *, names: tuple[str, ...], totals: bool, published: bool, output_format: str
) -> None:
    """Check and report.

    Raises:
        IntegrityError: names the extracts that do not hold.
    """
    settings = setup.settings(publish="auto" if published else "none")
    if published:
        needed_tableau(settings)
    choose(settings.output_dir, names)  # before the lock makes a directory
    with hold_directory(settings.output_dir, wait_s=settings.lock_timeout_s):
        copies = settings.output_dir.resolve() / ".staging" / "verify"
        copies.mkdir(parents=True, exist_ok=True)
        try:
            stores = choose(settings.output_dir, names)
            late = waiting(settings.output_dir)
            verdicts = [_check(store, copies / "copy.hyper", late=late) for store in stores]
        finally:
            shutil.rmtree(copies)
    if published:
        _check_published(setup, settings, verdicts)
    if output_format == "json":
        write_json([_as_json(verdict) for verdict in verdicts])
    else:
        _write(verdicts, totals=totals, published=published)
    broken = [verdict for verdict in verdicts if verdict.problems]
    if broken:
        pieces = "; ".join(f"{v.file} ({v.problems[0]})" for v in broken)
        message = f"{len(broken)} of {len(verdicts)} extracts do not hold: {pieces}"
        raise IntegrityError(message)


def _check(store: ExtractStore, copy: Path, *, late: Sequence[str]) -> Verdict:
    """Judge one extract by a copy of it; those that are ``late`` are behind the others."""
    verdict = Verdict(store.extract.name)
    if store.stem in late:
        verdict.problems.append(
            "a run died while its extracts took their places, and this one has not yet; the next "
            "run or `publish` finishes that"
        )
    try:
        manifests = store.candidates()
    except IntegrityError as error:
        verdict.problems.append(str(error))
        return verdict
    if not store.extract.exists():
        verdict.manifest = manifests[0] if manifests else None
        verdict.problems.append("the file is gone")
        return verdict
    if not manifests:
        verdict.problems.append("it has no manifest, so this target did not write it")
        return verdict
    shutil.copyfile(store.extract, copy)
    sha256 = sha256_of(copy)
    manifest = next((m for m in manifests if m.sha256 == sha256), manifests[0])
    verdict.manifest = manifest
    # hyperd rewrites the space of an emptied table whenever it is opened: there rows decide alone.
    if manifest.sha256 != sha256 and manifest.rows:
        verdict.problems.append(
            f"it was altered since run {manifest.run_id} sealed it: SHA-256 is {sha256[:12]}..., "
            f"sealed was {manifest.sha256[:12]}..."
        )
        return verdict
    try:
        verdict.found = read_back(copy, _numeric_columns(manifest))
    except (TransientError, ValueError, pa.ArrowException) as error:
        verdict.problems.append(f"it cannot be read ({type(error).__name__})")
    else:
        verdict.problems.extend(
            f"sealed were {difference} found"
            for difference in manifest.figures.differences(verdict.found)
        )
    return verdict


def _numeric_columns(manifest: Manifest) -> list[TableColumn]:
    return [
        TableColumn(column["name"], Kind.NUMERIC)
        for column in manifest.columns
        if str(column["type"]).startswith("NUMERIC")
    ]


def _check_published(setup: Setup, settings: Settings, verdicts: Sequence[Verdict]) -> None:
    """Compare each data source's time of change with what the last delivery left."""
    tableau = needed_tableau(settings)
    with TableauSession(tableau, setup.logger) as session:
        for verdict in verdicts:
            manifest = verdict.manifest
            if manifest is None:
                continue
            names = settings.datasource(manifest.stream)
            name, path = names.name or manifest.stream, names.project or tableau.project
            found = find_datasource(session, name, find_project(session, path))
            delivered = manifest.delivered
            if found is None:
                verdict.published = "missing"
            elif delivered is None or not manifest.is_delivered:
                verdict.published = "pending"
            elif (delivered.datasource_id, delivered.updated_at) != (
                found.id,
                stamp(found.updated_at),
            ):
                verdict.published = "changed by somebody else"
            else:
                verdict.published = "current"
                continue
            verdict.problems.append(f"published data source {path}/{name}: {verdict.published}")


def _as_json(verdict: Verdict) -> dict[str, object]:
    manifest = verdict.manifest
    shown: dict[str, object] = {
        "file": verdict.file,
        "holds": not verdict.problems,
        "problems": verdict.problems,
    }
    if manifest is not None:
        shown |= {
            "stream": manifest.stream,
            "datasource": manifest.datasource,
            "rows": manifest.rows,
            "totals": manifest.totals,
            "sha256": manifest.sha256,
            "as_of": manifest.as_of,
            "run_id": manifest.run_id,
        }
    if verdict.published:
        shown["published"] = verdict.published
    return shown


def _write(verdicts: Sequence[Verdict], *, totals: bool, published: bool) -> None:
    header = ["FILE", "STREAM", "ROWS", "AS OF", *(["PUBLISHED"] if published else []), "SEAL"]
    rows = []
    for verdict in verdicts:
        manifest = verdict.manifest
        known = (
            [manifest.stream, f"{manifest.rows:,}", manifest.as_of] if manifest else ["", "", ""]
        )
        seal = "does not hold" if verdict.problems else "holds"
        rows.append(
            [verdict.file, *known, *([verdict.published or "?"] if published else []), seal]
        )
    write_table(header, rows, numbers=[2])
    if totals:
        sums = [
            [verdict.file, column, total]
            for verdict in verdicts
            if verdict.manifest is not None
            for column, total in verdict.manifest.totals.items()
        ]
        click.echo()
        write_table(["FILE", "COLUMN", "SUM"], sums, numbers=[2])
    for verdict in verdicts:
        for problem in verdict.problems:
            click.echo(f"{verdict.file}: {problem}")


VERIFY = click.Command(
    "verify",
    callback=verify,
    help=_HELP,
    short_help="Check extracts against their seals.",
    params=[
        click.Argument(["names"], nargs=-1, metavar="[NAME]..."),
        config_option(),
        click.Option(["--totals"], is_flag=True, help="Show the sum of every number column."),
        click.Option(
            ["--published"],
            is_flag=True,
            help="Compare the published data sources with the last delivery.",
        ),
        format_option(),
    ],
)
