"""Read the manifests beside the extracts, and put them together with the ledger's history."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, IntegrityError, PipelineError
from pipeline_core.ledger import Ledger
from pipeline_ops.status.history import History, quoted, read_history
from pipeline_ops.status.model import (
    URGENCY,
    DatasourceStatus,
    RefreshStatus,
    Standing,
    Status,
    TableStatus,
)
from target_tableau_hyper.extract.combined import CombinedManifest
from target_tableau_hyper.extract.manifest import Manifest
from target_tableau_hyper.extract.store import MANIFEST_SUFFIX

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from pipeline_ops.status.history import Delivery as PastDelivery
    from target_tableau_hyper.extract.manifest import Delivery

_COMBINED_SUFFIX = ".datasource.json"

#: What the status shows of the past.
_RUNS = 20


@dataclass(slots=True)
class _Shelf:
    """What lies in the output directory."""

    extracts: dict[str, Manifest] = field(default_factory=dict)
    combined: list[CombinedManifest] = field(default_factory=list)
    broken: list[DatasourceStatus] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)


def gather(output_dir: Path, ledger_path: Path, *, now: datetime, late_after: timedelta) -> Status:
    """The status as of now; nothing is opened but small files and the ledger.

    Args:
        output_dir: The target's; a run may go on in it.
        ledger_path: The ledger of tap and target; it may be missing.
        now: Data are late when they are older than ``late_after``.
        late_after: See ``now``.

    Raises:
        ConfigError: there is no such directory.
    """
    if not output_dir.is_dir():
        message = f"{output_dir} is no directory; pass --output-dir, as the target's output_dir"
        raise ConfigError(message)
    history, told, is_broken = _history(ledger_path)
    shelf = _look(output_dir)
    datasources = [
        *shelf.broken,
        *_singles(shelf, history, now - late_after),
        *_combined(shelf, history, now - late_after),
    ]
    datasources.sort(key=lambda one: (URGENCY.index(one.standing), one.name.lower()))
    return Status(
        at=now,
        output_dir=str(output_dir),
        datasources=datasources,
        refreshes=_refreshes(output_dir, history),
        runs=history.runs[: -_RUNS - 1 : -1],
        events=history.last_events,
        ledger=told,
        ledger_broken=is_broken,
    )


def _history(ledger_path: Path) -> tuple[History, str, bool]:
    if not ledger_path.is_file():
        told = f"There is no ledger at {ledger_path}: runs and failures are not known."
        return History(), told, False
    try:
        with Ledger.reading(ledger_path) as ledger:
            history = read_history(ledger.events())
            try:
                rows = ledger.verify()
            except IntegrityError as error:
                return history, f"{ledger_path}: {error}.", True
    except (PipelineError, sqlite3.Error, ValueError) as error:
        why = error.__cause__ or error
        told = f"The ledger {ledger_path} cannot be read ({why}): runs and failures are not known."
        return History(), told, True
    return history, f"{ledger_path}: {rows:,} events, hash chain unbroken.", False


def _look(directory: Path) -> _Shelf:
    shelf = _Shelf()
    for path in sorted(directory.glob(f"*{MANIFEST_SUFFIX}")):
        try:
            manifest = Manifest.read(path)
        except IntegrityError as error:
            shelf.broken.append(_unreadable(path.name.removesuffix(MANIFEST_SUFFIX), error))
            continue
        except FileNotFoundError:
            continue  # taken back by a run that goes on
        shelf.extracts[manifest.stream] = manifest
        if not (directory / manifest.file).is_file():
            shelf.missing.add(manifest.stream)
    for path in sorted(directory.glob(f"*{_COMBINED_SUFFIX}")):
        try:
            combined = CombinedManifest.read(path)
        except IntegrityError as error:
            shelf.broken.append(_unreadable(path.name.removesuffix(_COMBINED_SUFFIX), error))
            continue
        if combined is not None:
            shelf.combined.append(combined)
    return shelf


def _unreadable(name: str, error: IntegrityError) -> DatasourceStatus:
    return DatasourceStatus(name, Standing.FAILED, [f"{error}."], [], None, [])


def _singles(shelf: _Shelf, history: History, late: datetime) -> list[DatasourceStatus]:
    """Data sources of one stream each; a stream that is only a table of another is none."""
    inside = {stream for combined in shelf.combined for stream in combined.tables}
    found = []
    for stream, manifest in shelf.extracts.items():
        if stream in inside and manifest.delivered is None and not manifest.pending:
            continue
        why, notes = _findings(manifest, shelf, history)
        found.append(
            _status(
                manifest.datasource,
                why,
                notes,
                tables=[_table(manifest)],
                as_of=manifest.as_of,
                run_id=manifest.checked_by,
                pending=manifest.pending,
                delivered=manifest.delivered,
                history=history,
                late=late,
            )
        )
    return found


def _combined(shelf: _Shelf, history: History, late: datetime) -> list[DatasourceStatus]:
    """Data sources of several streams: as current as the oldest of them."""
    found = []
    for combined in shelf.combined:
        parts = [shelf.extracts[stream] for stream in combined.tables if stream in shelf.extracts]
        why, notes = [], []
        for part in parts:
            part_why, part_notes = _findings(part, shelf, history)
            why += [f"{part.stream}: {text}" for text in part_why]
            notes += [f"{part.stream}: {text}" for text in part_notes]
        known = {stream: table["sha256"] for stream, table in combined.tables.items()}
        behind = any(part.sha256 != known[part.stream] for part in parts)
        moments = [part.as_of for part in parts] or [combined.as_of]
        found.append(
            _status(
                combined.datasource,
                why,
                notes,
                tables=[_table(part) for part in parts],
                as_of=combined.as_of if behind else min(moments),
                run_id=combined.run_id,
                pending=behind or combined.delivered is None,
                delivered=combined.delivered,
                history=history,
                late=late,
            )
        )
    return found


#: Outcomes of a control that passed neither nor held anything up.
_SHORT_OF = {"warned": "warns", "not_checked": "was not checked"}


def _findings(manifest: Manifest, shelf: _Shelf, history: History) -> tuple[list[str], list[str]]:
    why = list(history.troubles.get(manifest.stream, ()))
    if manifest.stream in shelf.missing:
        why.append(f"Its extract {manifest.file} is gone; restore it from a copy.")
    notes = [
        f"The control {quoted(control['name'])} {_SHORT_OF[control['outcome']]}: "
        f"{control['saying']}."
        for control in manifest.controls
        if control.get("outcome") in _SHORT_OF
    ]
    if manifest.quarantined:
        notes.append(f"{manifest.quarantined:,} records were set aside; see quarantine/.")
    return why, notes


def _table(manifest: Manifest) -> TableStatus:
    totals = {name: Decimal(value) for name, value in manifest.totals.items()}
    return TableStatus(manifest.stream, manifest.rows, dict(sorted(totals.items())))


def _status(
    name: str,
    why: list[str],
    notes: list[str],
    *,
    tables: list[TableStatus],
    as_of: str,
    run_id: str,
    pending: bool,
    delivered: Delivery | None,
    history: History,
    late: datetime,
) -> DatasourceStatus:
    moment = datetime.fromisoformat(as_of)
    last = history.deliveries.get(name)
    if last is not None and last.outcome == "failed" and not _newer(delivered, last):
        why = [*why, f"The last delivery to Tableau failed: {last.error}."]
    if why:
        standing = Standing.FAILED
    elif pending:
        standing = Standing.PENDING
        begun = last is not None and last.outcome == "open"
        why = [
            "A delivery was begun and its end is not known yet."
            if begun
            else "What was loaded is not in Tableau yet; the next run delivers it."
        ]
    elif moment < late:
        standing = Standing.LATE
        why = ["No run has found it current for longer than is allowed."]
    else:
        standing = Standing.CURRENT if delivered is not None else Standing.UNPUBLISHED
    return DatasourceStatus(
        name=name,
        standing=standing,
        why=why,
        notes=notes,
        as_of=moment,
        tables=tables,
        place=_place(delivered),
        refreshed_at=datetime.fromisoformat(delivered.at) if delivered else None,
        how=delivered.how if delivered else "",
        run_id=run_id,
    )


def _newer(delivered: Delivery | None, last: PastDelivery) -> bool:
    """Whether the manifest knows of a delivery after the failed one; the ledger may be another."""
    return delivered is not None and datetime.fromisoformat(delivered.at) > last.at


def _place(delivered: Delivery | None) -> str:
    if delivered is None:
        return ""
    site = f", site {delivered.site}" if delivered.site else ""
    return f"{delivered.server}{site}, project {delivered.project}"


def _refreshes(directory: Path, history: History) -> list[RefreshStatus]:
    """The last refresh of each item, and those that are still due; failures first."""
    try:
        due = json.loads((directory / ".refresh.json").read_bytes())["due"]
    except (OSError, ValueError, KeyError, TypeError):
        due = []
    waiting = [RefreshStatus(str(key), "", "waiting", None) for key in due]
    order = ("failed", "waiting", "begun", "asked for", "refreshed")
    return sorted(
        [*history.refreshes.values(), *waiting], key=lambda r: (order.index(r.outcome), r.item)
    )
