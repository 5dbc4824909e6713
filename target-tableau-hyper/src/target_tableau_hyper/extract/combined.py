"""What is known of a data source of several streams: ``<name>.datasource.json``.

It has no extract of its own. Its content is that of its streams' sealed extracts, so its seal is a
hash over their seals.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import IntegrityError
from pipeline_core.files import write_atomically
from target_tableau_hyper.extract.manifest import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from target_tableau_hyper.extract.combine import Reference

#: Version of this file's own shape.
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CombinedManifest:
    """The seal of a data source of several streams.

    Attributes:
        datasource: Its name.
        run_id: Run that wrote this.
        as_of: When that run found it current, by the target's clock.
        tables: Stream -> rows, totals and SHA-256 of its sealed extract.
        sha256: See :func:`combined_sha`.
        delivered: What Tableau confirmed last; ``None`` when nothing was ever delivered.
        package_refused: The attempt at a package that the server refused.
    """

    datasource: str
    run_id: str
    as_of: str
    tables: dict[str, dict[str, Any]]
    sha256: str
    delivered: Delivery | None = None
    package_refused: str | None = None

    def write(self, path: Path) -> None:
        """Put it on disk, whole."""
        content = {"format": _FORMAT, **asdict(self)}
        write_atomically(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> CombinedManifest | None:
        """Load it; ``None`` where there is none yet.

        Raises:
            IntegrityError: the file is no such manifest.
        """
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_bytes())
            if content.pop("format") != _FORMAT:
                raise ValueError  # noqa: TRY301 - one message for whatever is wrong with it
            delivered = content.pop("delivered")
            return cls(**content, delivered=Delivery(**delivered) if delivered else None)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = (
                f"{path.name} is no manifest of this target; remove it, and the next run publishes "
                "the data source anew"
            )
            raise IntegrityError(message) from error


def combined_sha(seals: Mapping[str, str], references: Sequence[Reference]) -> str:
    """A hash over what a combined file holds: the seal of each table, and the keys between them.

    Args:
        seals: Stream -> SHA-256 of its sealed extract.
        references: The keys.
    """
    keys = sorted([one.many, one.one, [list(pair) for pair in one.on]] for one in references)
    return sha256(json.dumps([sorted(seals.items()), keys]).encode()).hexdigest()
