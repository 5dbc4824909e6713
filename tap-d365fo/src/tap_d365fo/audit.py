"""The figures of a run, counted where messages leave the process.

Every STATE carries them, so that the target can prove that it received what was sent, and an end of
file can be told from an end of data: only the last STATE of a run that finished has ``complete:
true``.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import DataError
from tap_d365fo.reading.typed_rows import TypedRow, column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_d365fo.reading.typed_rows import Row

#: Marks a RECORD that stands for a deletion; the SDK's own name for it.
DELETED_AT = "_sdc_deleted_at"

#: Sums of millions of amounts with 32 digits need more than the default 28 digits; nothing is
#: rounded.
_EXACT = decimal.Context(prec=120, traps=[decimal.Inexact, decimal.InvalidOperation])


@dataclass(slots=True)
class StreamFigures:
    """What was sent of one stream in this run.

    Attributes:
        records: RECORD messages, deletions included.
        deletes: Those of them that are deletions.
        totals: Exact sum of every decimal column over the others.
    """

    records: int = 0
    deletes: int = 0
    totals: dict[str, Decimal] = field(default_factory=dict)

    def add(self, record: Row) -> None:
        """Count one record that is being sent.

        Raises:
            DataError: a decimal column holds no number, or one whose digits no sum can keep.
        """
        if record.get(DELETED_AT) is not None:
            self.records += 1
            self.deletes += 1
            return
        totals = dict(self.totals)  # a record that is refused counts nowhere
        for name, total in self.totals.items():
            value = record.get(name)
            if value is not None:
                # A stream map may compute a float; it is written with these digits.
                exact = Decimal(repr(value)) if isinstance(value, float) else value
                try:
                    totals[name] = _EXACT.add(total, exact)
                except (decimal.DecimalException, TypeError) as error:
                    message = f"{name} holds a value that is no amount: it cannot be added up"
                    raise DataError(message) from error
        self.records += 1
        self.totals = totals

    def add_all(self, records: Sequence[Row]) -> None:
        """Count records that are being sent, as :meth:`add` would one by one; all or none of them.

        Raises:
            DataError: as :meth:`add`.
        """
        typed = isinstance(records[0], TypedRow) if records else False  # none is a deletion then
        rows = records if typed else [r for r in records if r.get(DELETED_AT) is None]
        try:
            with decimal.localcontext(_EXACT):
                totals = {
                    name: sum([v for v in column(rows, name) if v is not None], total)
                    for name, total in self.totals.items()
                }
        except (decimal.DecimalException, TypeError):  # a float, or no number: add() tells
            counted = replace(self)
            for row in rows:
                counted.add(row)
            totals = counted.totals
        self.records += len(records)
        self.deletes += len(records) - len(rows)
        self.totals = totals


def growth(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What was added to each total between two looks at them."""
    return {
        column: _EXACT.subtract(total, before.get(column, Decimal(0)))
        for column, total in after.items()
    }


def added(sums: Mapping[str, Decimal], more: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Both together, exactly."""
    return {
        column: _EXACT.add(sums.get(column, Decimal(0)), more.get(column, Decimal(0)))
        for column in {**sums, **more}
    }


def as_text(totals: Mapping[str, Decimal]) -> dict[str, str]:
    """Sums as exact decimal strings."""
    return {column: format(total, "f") for column, total in totals.items()}


class RunAudit:
    """Running figures of all streams."""

    def __init__(self, run_id: str) -> None:
        """Start at zero."""
        self.run_id = run_id
        self.complete = False
        self.streams: dict[str, StreamFigures] = {}

    def announce(self, stream: str, schema: Mapping[str, Any]) -> None:
        """Learn the decimal columns of a stream from its schema, before its first record."""
        figures = self.streams.setdefault(stream, StreamFigures())
        for name, definition in schema.get("properties", {}).items():
            if _is_decimal(definition):
                figures.totals.setdefault(name, Decimal(0))

    def add(self, stream: str, record: Mapping[str, Any]) -> None:
        """Count one record of a stream that was announced."""
        self.streams[stream].add(record)

    def add_all(self, stream: str, records: Sequence[Row]) -> None:
        """Count records of a stream that was announced."""
        self.streams[stream].add_all(records)

    def totals(self, stream: str) -> Mapping[str, Decimal]:
        """The sums of a stream as they are now; later records do not change what is returned."""
        figures = self.streams.get(stream)
        return figures.totals if figures is not None else {}

    def snapshot(self) -> dict[str, Any]:
        """The ``audit`` object of a STATE: figures so far, sums as exact decimal strings."""
        return {
            "run_id": self.run_id,
            "complete": self.complete,
            "streams": {
                name: {
                    "records": figures.records,
                    "deletes": figures.deletes,
                    "totals": as_text(figures.totals),
                }
                for name, figures in self.streams.items()
            },
        }


def _is_decimal(definition: Mapping[str, Any]) -> bool:
    types = definition.get("type")
    return types == "number" or (isinstance(types, list) and "number" in types)
