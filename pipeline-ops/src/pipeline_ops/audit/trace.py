"""From a cell of an extract back to the page that D365 sent it in."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, IntegrityError
from pipeline_ops.audit.story import effects
from tap_d365fo.access.archive import RUN, body_path, run_folder
from tap_d365fo.access.lookup import RawRow, find_raw_row
from tap_d365fo.access.replay import ReplayedPages
from target_tableau_hyper.delivery.gather import manifest_path
from target_tableau_hyper.extract.combined import CombinedManifest
from target_tableau_hyper.extract.lookup import look_up
from target_tableau_hyper.extract.manifest import sha256_of
from target_tableau_hyper.extract.schema import AUDIT_RUN_ID
from target_tableau_hyper.extract.shelf import choose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline_ops.audit.choose import Runs
    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.extract.store import ExtractStore

#: How the file is called that tells of a data source of several streams.
_COMBINED = manifest_path(Path(), "").name

#: The target's own columns: no page has them.
_OWN = ("_audit_", "_sdc_")

#: What F&O sends where there is no date, and no GUID.
_NOTHING = ("1900-01-01", "00000000-0000-0000-0000-000000000000")

_COMPANY = "dataAreaId"


@dataclass(frozen=True, slots=True)
class Page:
    """The archived page that has the row.

    Attributes:
        run_id: Under whose id it lies in the archive.
        number: Place among the answers of that run.
        asked: Path and query.
        file: Its body, packed by gzip.
        sha256: Of the unpacked body; checked.
        values: JSON text of the properties that were asked for, as the server sent it.
        equal: Whether each of them is what the extract holds.
    """

    run_id: str
    number: int
    asked: str
    received_at: str
    file: str
    sha256: str
    values: dict[str, str]
    equal: dict[str, bool]


@dataclass(slots=True)
class Trace:
    """Where a row, or a cell of it, comes from.

    Attributes:
        row: What was asked for, as text; the key always.
        metadata: The target's own columns of the row.
        run_id: The run that brought the row as it is; ``None`` where nobody can tell.
        known_by: How that is known.
        page: The archived page; ``why_no_page`` says why there is none.
        deliveries: What became of the extract in Tableau, the latest last.
    """

    datasource: str
    stream: str
    file: str
    sha256: str
    sealed_by: str
    as_of: str
    key: dict[str, str]
    row: dict[str, str | None]
    metadata: dict[str, str | None]
    run_id: str | None = None
    known_by: str = ""
    page: Page | None = None
    why_no_page: str = ""
    deliveries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def differences(self) -> list[str]:
        """Columns whose value in the page is another one than in the extract."""
        return [name for name, same in self.page.equal.items() if not same] if self.page else []

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "differences": self.differences}


def trace(
    runs: Runs,
    *,
    output_dir: Path,
    archive: Path | None,
    datasource: str,
    key: Mapping[str, str],
    column: str | None = None,
) -> Trace:
    """Find the row, the run that brought it, and the page in which the server sent it.

    Args:
        runs: Of the ledger.
        output_dir: Where the extracts lie.
        archive: The tap's ``archive_path``; ``None`` where it keeps none.
        datasource: Name of the data source, stream or file.
        key: Column and text, enough of them to name one row.
        column: The one that matters; without it all are shown.

    Raises:
        ConfigError: there is no such extract, column or row, or more than one row.
        IntegrityError: the extract was altered since it was sealed, or a page since it was kept.
    """
    several = _combined_in(output_dir)
    store = _chosen(output_dir, datasource, several)
    manifest = _sealed(store)
    found = look_up(store.extract, key)
    if found.first is None or found.count != 1:
        message = f"{manifest.file} has {found.count} rows with {_said(key)}; "
        message += (
            f"its key is {', '.join(manifest.keys) or 'none'}"
            if found.count
            else "look at the key with `target-tableau-hyper inspect`"
        )
        raise ConfigError(message)
    row = found.first
    if column is not None and column not in row:
        message = f"{manifest.file} has no column {column!r}; it has {', '.join(row)}"
        raise ConfigError(message)
    traced = _begun(manifest, row, key, column)
    candidates = _candidates(traced, runs, row)
    if archive is None:
        traced.why_no_page = (
            "no archive is known: set the tap's archive_path for runs to come, or name --archive"
        )
    else:
        _find_page(traced, runs, archive, candidates, row=row, column=column)
    seals = {manifest.sha256} | {
        one.sha256
        for one in several
        if one.tables.get(manifest.stream, {}).get("sha256") == manifest.sha256
    }
    traced.deliveries = [
        {"run_id": d.run_id, "began": d.began, "outcome": d.outcome, **d.confirmed, **d.facts}
        for d in effects(runs.ledger.events(prefix="delivery."))
        if d.facts.get("sha256") in seals
    ]
    return traced


def shown(value: object) -> str | None:
    """A value of an extract as text, exact."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return None if value is None else str(value)


def agrees(column: str, value: object, raw: str) -> bool:  # noqa: PLR0911 - a table of types
    """Whether a value of an extract is the one that the server sent, as the tap reads it.

    Args:
        column: Its name.
        value: From the extract.
        raw: JSON text.
    """
    sent = json.loads(raw, parse_float=Decimal)
    if value is None:
        return sent is None or (isinstance(sent, str) and sent.startswith(_NOTHING))
    if sent is None:
        return False
    if isinstance(value, bool) or isinstance(sent, bool):
        return value is sent
    if isinstance(value, datetime):
        return _instant(sent) == value
    if isinstance(value, date):
        return str(sent)[:10] == value.isoformat()
    if isinstance(value, Decimal | int):
        return Decimal(str(sent)) == value
    if column == _COMPANY:
        return str(sent).lower() == value
    return str(sent) == value


def _instant(sent: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(sent)).astimezone(UTC)
    except ValueError:
        return None


def _combined_in(output_dir: Path) -> list[CombinedManifest]:
    """What is known of data sources of several streams."""
    found = (CombinedManifest.read(path) for path in sorted(output_dir.glob(f"*{_COMBINED}")))
    return [manifest for manifest in found if manifest is not None]


def _chosen(output_dir: Path, name: str, several: Sequence[CombinedManifest]) -> ExtractStore:
    try:
        (store,) = choose(output_dir, [name])
    except ConfigError as error:
        tables = next((one.tables for one in several if one.datasource == name), None)
        if tables is None:
            raise
        message = (
            f"data source {name!r} is made of {', '.join(tables)}; name the one whose row you look "
            "for"
        )
        raise ConfigError(message) from error
    return store


def _sealed(store: ExtractStore) -> Manifest:
    """The manifest that belongs to the extract as it is; nothing is changed, not even tidied."""
    if not store.extract.is_file():
        message = f"{store.extract} is gone"
        raise ConfigError(message)
    digest = sha256_of(store.extract)
    for manifest in store.candidates():
        if manifest.sha256 == digest:
            return manifest
    message = f"{store.extract.name} is not what was sealed; see `target-tableau-hyper verify`"
    raise IntegrityError(message)


def _begun(
    manifest: Manifest, row: Mapping[str, Any], key: Mapping[str, str], column: str | None
) -> Trace:
    own = [name for name in row if name.startswith(_OWN)]
    names = [name for name in row if name not in own]
    told = names if column is None else [*manifest.keys, column]
    keys = manifest.keys or list(key)
    return Trace(
        datasource=manifest.datasource,
        stream=manifest.stream,
        file=manifest.file,
        sha256=manifest.sha256,
        sealed_by=manifest.run_id,
        as_of=manifest.as_of,
        key={name: shown(row[name]) or "" for name in keys},
        row={name: shown(row[name]) for name in dict.fromkeys(told)},
        metadata={name: shown(row[name]) for name in own},
    )


def _candidates(traced: Trace, runs: Runs, row: Mapping[str, Any]) -> list[str]:
    """The run that the row names; where it names none, all that may have brought it."""
    told = row.get(AUDIT_RUN_ID)
    if told is None:
        return _who_loaded(runs, traced.stream, traced.sealed_by)
    traced.run_id = runs.joined.get(str(told), str(told))
    traced.known_by = f"the row's {AUDIT_RUN_ID}"
    return [traced.run_id]


def _find_page(
    traced: Trace,
    runs: Runs,
    archive: Path,
    candidates: Sequence[str],
    *,
    row: Mapping[str, Any],
    column: str | None,
) -> None:
    """The page, and by it the run; what is missing is said in ``why_no_page``."""
    for run_id in candidates:
        place = _recorded_as(runs, run_id)
        folder = run_folder(archive, place)
        if not (folder / RUN).is_file():
            # Where the row does not name its run, this one may have brought it: go no further.
            traced.why_no_page = (
                f"the pages of run {place} are not in {archive}; it was not archived, or its "
                "folder was removed"
            )
            return
        pages = ReplayedPages(archive, place)
        raw = find_raw_row(pages, traced.stream, traced.key, column=_property(column))
        if raw is not None:
            traced.run_id = run_id
            traced.known_by = traced.known_by or "the latest archived page that has the row"
            traced.page = _page(raw, place, folder, row, column)
            return
    traced.why_no_page = (
        "no archived page has the row; a stream map may have renamed the stream or a key"
    )


def _who_loaded(runs: Runs, stream: str, sealed_by: str) -> list[str]:
    """Runs that changed the extract's stream, the latest first; none after the seal counts."""
    sealed = [
        runs.joined.get(event.run_id, event.run_id)
        for event in runs.seals(beside=sealed_by)
        if event.body["stream"] == stream
    ]
    return list(dict.fromkeys(reversed(sealed)))


def _recorded_as(runs: Runs, run_id: str) -> str:
    """Whose pages a run emitted: its own, or in a replay those of another."""
    for one in runs.ids(run_id):
        for event in runs.ledger.events(run_id=one, prefix="run.started"):
            if event.body.get("replay_of"):
                return str(event.body["replay_of"])
    return run_id


def _property(column: str | None) -> str | None:
    """The property of D365 that a column is of; the target's own are of none."""
    return None if column is None or column.startswith(_OWN) else column


def _page(
    raw: RawRow, place: str, folder: Path, row: Mapping[str, Any], column: str | None
) -> Page:
    names: Sequence[str] = [column] if column in raw.values else [n for n in raw.values if n in row]
    entry = raw.entry
    return Page(
        run_id=place,
        number=entry.seq,
        asked=entry.target,
        received_at=entry.received_at.isoformat(),
        file=str(body_path(folder, entry.sha256)),
        sha256=entry.sha256,
        values={name: raw.values[name] for name in names if name is not None},
        equal={
            name: agrees(name, row[name], raw.values[name]) for name in names if name is not None
        },
    )


def _said(key: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={text}" for name, text in key.items())
