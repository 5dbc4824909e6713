"""SELECTs over a run's segment files, in the columns and types of the table."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from target_tableau_hyper.extract.engine import literal, quote
from target_tableau_hyper.extract.schema import RECORD_METADATA, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.extract.layout import TableColumn
    from target_tableau_hyper.extract.staged import Segment, SegmentColumn, StagedStream


def is_metadata(name: str) -> bool:
    """Whether a column says when and how a record came, rather than what it holds.

    Such columns differ on every read and must not make a row look changed.
    """
    return name in RECORD_METADATA


def positions(columns: Sequence[TableColumn]) -> list[str]:
    """``c0``, ``c1``, ...: how temporary tables name the table's columns."""
    return [f"c{i}" for i in range(len(columns))]


def matching(columns: Sequence[TableColumn], keys: Sequence[str], one: str, table: str) -> str:
    """Equality of keys between a temporary table and the extract's.

    Args:
        columns: The table's columns.
        keys: Key properties.
        one: ``l`` for ``last``, or ``removed``, whose keys are called ``k0``, ``k1``, ...
        table: How the statement calls the extract's table.
    """
    index = {column.name: i for i, column in enumerate(columns)}
    name = (lambda n, _: f"k{n}") if one == "removed" else (lambda _, key: f"c{index[key]}")
    return " AND ".join(
        f"{one}.{name(n, key)} = {table}.{quote(key)}" for n, key in enumerate(keys)
    )


def arrivals(staged: StagedStream, columns: Sequence[TableColumn]) -> str:
    """Every received row: the table's columns by position, then seq, version and deleted.

    Segments of one shape are read together; a column that a segment does not have is NULL.
    """
    shapes: dict[object, list[Segment]] = defaultdict(list)
    for segment in staged.segments:
        shape = tuple((part.column.name, part.column.kind, part.scale) for part in segment.columns)
        shapes[shape].append(segment)
    parts = []
    for alike in shapes.values():
        files = [literal(str(segment.path)) for segment in alike]
        place = {part.column.name: (i, part) for i, part in enumerate(alike[0].columns)}
        values = [f"{_value(column, place)} AS c{i}" for i, column in enumerate(columns)]
        parts.append(
            f"SELECT {', '.join(values)}, seq, version, deleted "  # noqa: S608 - quoted
            f"FROM external(ARRAY[{', '.join(files)}], FORMAT => 'parquet')"
        )
    if not parts:
        nulls = [f"CAST(NULL AS {column.sql_type}) AS c{i}" for i, column in enumerate(columns)]
        parts.append(
            f"SELECT {', '.join(nulls)}, CAST(0 AS BIGINT) AS seq, CAST(NULL AS BIGINT) AS "
            "version, FALSE AS deleted WHERE FALSE"
        )
    return " UNION ALL ".join(parts)


def last_per_key(staged: StagedStream, columns: Sequence[TableColumn], *, purge: str | None) -> str:
    """The last received row of each key, with ``deleted`` and ``kept``.

    ``kept`` means: this row is to be in the table. With ``purge`` (an SQL condition on arrivals)
    that asks of a key to have arrived at least once under the condition, as ACTIVATE_VERSION
    demands.

    Keys alone are grouped, and whole rows then picked by their place in the order of arrival: so
    hyperd holds one number a key in memory, not every column of every row.
    """
    index = {column.name: i for i, column in enumerate(columns)}
    keys = ", ".join(f"c{index[key]}" for key in staged.keys)
    listed = ", ".join(positions(columns))
    belongs = f"bool_or(COALESCE({purge}, FALSE))" if purge else "TRUE"
    return (
        f"SELECT {listed}, deleted, (NOT deleted AND belongs) AS kept "  # noqa: S608 - quoted
        f"FROM ({arrivals(staged, columns)}) a JOIN ("
        f"SELECT max(seq) AS last_seq, {belongs} AS belongs "
        f"FROM ({arrivals(staged, columns)}) b GROUP BY {keys}) m ON a.seq = m.last_seq"
    )


def _value(column: TableColumn, place: dict[str, tuple[int, SegmentColumn]]) -> str:
    if column.name not in place:
        return f"CAST(NULL AS {column.sql_type})"
    position, part = place[column.name]
    if part.column.kind is column.kind and column.kind is not Kind.NUMERIC:
        return f"c{position}"
    return f"CAST(c{position} AS {column.sql_type})"
