"""The columns of a sealed extract as its manifest describes them, without opening the extract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import IntegrityError
from target_tableau_hyper.extract.layout import TableColumn
from target_tableau_hyper.extract.schema import Kind

if TYPE_CHECKING:
    from target_tableau_hyper.extract.manifest import Manifest

_NUMERIC = re.compile(r"NUMERIC\((\d+),(\d+)\)")

_KINDS = {TableColumn("", kind).sql_type: kind for kind in Kind if kind is not Kind.NUMERIC}


@dataclass(frozen=True, slots=True)
class DescribedColumn:
    """A column with what the stream's schema says about it.

    Attributes:
        column: Name, type, nullability.
        title: The schema's own title, for people.
        description: Likewise.
    """

    column: TableColumn
    title: str | None = None
    description: str | None = None

    @property
    def name(self) -> str:
        """As in the stream."""
        return self.column.name


def described_columns(manifest: Manifest) -> tuple[DescribedColumn, ...]:
    """The columns of an extract, in the order of its table.

    Raises:
        IntegrityError: the manifest names a type that this target does not write.
    """
    return tuple(_column(manifest.file, content) for content in manifest.columns)


def _column(file: str, content: dict[str, Any]) -> DescribedColumn:
    sql_type = content["type"]
    numeric = _NUMERIC.fullmatch(sql_type)
    kind = Kind.NUMERIC if numeric else _KINDS.get(sql_type)
    if kind is None:
        message = (
            f"the manifest of {file} has a column {content['name']!r} of type {sql_type!r}, which "
            "this target does not write; restore it from a copy"
        )
        raise IntegrityError(message)
    return DescribedColumn(
        TableColumn(
            content["name"],
            kind,
            precision=int(numeric[1]) if numeric else 0,
            scale=int(numeric[2]) if numeric else 0,
            nullable=content["nullable"],
        ),
        content.get("title"),
        content.get("description"),
    )
