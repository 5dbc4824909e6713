"""What is known of a sealed extract, in a JSON file beside it: ``<name>.manifest.json``."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import IntegrityError
from pipeline_core.files import write_atomically
from target_tableau_hyper.extract.figures import Figures, text

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

#: Version of this file's own shape.
_FORMAT = 1

_READ_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Delivery:
    """What Tableau confirmed.

    Attributes:
        sha256: Of the extract that the data source now equals.
        server, site, project, name: Where it is published.
        datasource_id: Its LUID.
        updated_at: The data source's own time of change, as the server told it.
        job_id: The job that did it.
        how: ``overwrite`` or ``update``.
        run_id: The run that delivered.
        at: When it was confirmed.
        package: Fingerprint of the package's document; ``hyper`` for the bare file.
    """

    sha256: str
    server: str
    site: str
    project: str
    name: str
    datasource_id: str
    updated_at: str
    job_id: str
    how: str
    run_id: str
    at: str
    package: str = "hyper"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The seal of one extract.

    Attributes:
        stream: Stream that it holds.
        datasource: Name of its data source.
        file: Name of the ``.hyper`` file beside the manifest.
        run_id: Run that sealed it.
        as_of: When a run last found it current, by the target's clock.
        checked_by: That run.
        rows: Row count, re-read through an independent reader.
        totals: Sum of every NUMERIC column, as decimal text; likewise.
        columns: Name, type, nullability, and the schema's title and description where it has them.
        keys: Key properties.
        hyper_version: File format version.
        size: Bytes.
        sha256: Of the file.
        previous_sha256: Of the file that the delta was applied to.
        delta: Counts of the run that sealed it.
        delivered: What Tableau confirmed last; ``None`` when nothing was ever delivered.
        package_refused: The attempt at a package that the server refused.
        pending: Sealed for Tableau, and not delivered yet.
        density: Rows and bytes when the rows were last written together, see
            :mod:`extract.compaction`.
        quarantined: Records of the last run that brought any, set aside instead of stored.
        controls: How the controls that look at the stream came out, see :mod:`controls.finding`.
    """

    stream: str
    datasource: str
    file: str
    run_id: str
    as_of: str
    checked_by: str
    rows: int
    totals: dict[str, str]
    columns: list[dict[str, Any]]
    keys: list[str]
    hyper_version: int
    size: int
    sha256: str
    previous_sha256: str | None
    delta: dict[str, Any]
    delivered: Delivery | None = None
    package_refused: str | None = None
    pending: bool = False
    controls: list[dict[str, Any]] = field(default_factory=list)
    quarantined: int = 0
    density: dict[str, int] | None = None

    @property
    def figures(self) -> Figures:
        """Rows and sums as values."""
        return Figures(self.rows, {name: Decimal(total) for name, total in self.totals.items()})

    @property
    def is_delivered(self) -> bool:
        """Whether Tableau holds exactly this extract, as far as it confirmed."""
        return self.delivered is not None and self.delivered.sha256 == self.sha256

    def with_delivery(self, delivery: Delivery) -> Manifest:
        """The same seal with a newer delivery."""
        return replace(self, delivered=delivery, pending=False)

    def write(self, path: Path) -> None:
        """Put it on disk, whole."""
        content = {"format": _FORMAT, **asdict(self)}
        write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Load it.

        Raises:
            IntegrityError: the file is no manifest, or one of a newer release.
        """
        try:
            content = json.loads(path.read_bytes())
            _check_format(content.pop("format"), path)
            delivered = content.pop("delivered")
            return cls(**content, delivered=Delivery(**delivered) if delivered else None)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = (
                f"{path.name} is no manifest of this target; restore it, or remove it together "
                "with its extract and load the stream anew (meltano run --full-refresh)"
            )
            raise IntegrityError(message) from error


def _check_format(found: object, path: Path) -> None:
    """Refuse other shapes; one of a newer release is whole, and nobody shall remove it."""
    if isinstance(found, int) and found > _FORMAT:
        message = (
            f"{path.name} was written by a newer release of target-tableau-hyper (format {found}; "
            f"this one knows {_FORMAT}); install that release, or set another output_dir. The "
            "extract is whole, leave both files as they are"
        )
        raise IntegrityError(message)
    if found != _FORMAT:
        raise ValueError(found)


def totals_text(figures: Figures) -> dict[str, str]:
    """Sums as a manifest holds them."""
    return {name: text(total) for name, total in figures.totals.items()}


def sha256_of(path: Path, stop: Event | None = None) -> str:
    """SHA-256 of a file of any size, as hex; of no use where ``stop`` was set meanwhile."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while not (stop and stop.is_set()) and (block := file.read(_READ_BYTES)):
            digest.update(block)
    return digest.hexdigest()
