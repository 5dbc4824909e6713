"""Completeness: what the tap says it sent, against what arrived.

A tap of ours writes an ``audit`` object into every STATE: figures of this run so far, and
``complete: true`` in the very last STATE alone. End of file proves nothing in Singer, because a tap
that died looks the same; only the figures do.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import IntegrityError
from target_tableau_hyper.extract.figures import EXACT, ZERO, text
from target_tableau_hyper.extract.schema import DELETED_AT, Column, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Rows whose amounts are added up together.
_FOLD_ROWS = 1_000

_SUMMED = frozenset({Kind.NUMERIC, Kind.INTEGER})


@dataclass(slots=True)
class Tally:
    """Running figures of one stream as received, before any stream map.

    Attributes:
        records: RECORD messages, deletions included.
        deletes: Those of them with ``_sdc_deleted_at``.
    """

    records: int = 0
    deletes: int = 0
    _totals: dict[str, Decimal] = field(default_factory=dict)
    _waiting: list[Mapping[str, Any]] = field(default_factory=list)

    def know(self, columns: Iterable[Column]) -> None:
        """Sum the number columns of a schema from now on."""
        self.fold()
        for column in columns:
            if column.kind in _SUMMED:
                self._totals.setdefault(column.name, ZERO)

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one record; its amounts are added up later, in groups."""
        self.records += 1
        if record.get(DELETED_AT) is not None:
            self.deletes += 1
            return
        self._waiting.append(record)
        if len(self._waiting) >= _FOLD_ROWS:
            self.fold()

    def add_batch(self, records: int, sums: Mapping[str, Decimal]) -> None:
        """Count records that came together, none of them a deletion.

        Args:
            records: How many.
            sums: Of their number columns; those that are not known count for nothing.
        """
        self.records += records
        for name, amount in sums.items():
            if name in self._totals:
                self._totals[name] = EXACT.add(self._totals[name], amount)

    def fold(self) -> None:
        """Add up what waits."""
        rows, self._waiting = self._waiting, []
        with decimal.localcontext(EXACT):
            for name, total in self._totals.items():
                values = [value for row in rows if (value := row.get(name)) is not None]
                try:
                    self._totals[name] = sum(values, total)
                except (TypeError, decimal.InvalidOperation):
                    self._totals[name] = total + _sum_of_any(values)

    def totals(self) -> Mapping[str, Decimal]:
        """All sums."""
        self.fold()
        return self._totals

    def total(self, name: str) -> Decimal | None:
        """Exact sum of a column; ``None`` for one that is not a number."""
        self.fold()
        return self._totals.get(name)


def _sum_of_any(values: Iterable[object]) -> Decimal:
    """The sum of what has a number in it; the column itself refuses the rest, if it must."""
    total = ZERO
    for value in values:
        try:
            number = Decimal(value) if isinstance(value, (int, str, Decimal)) else ZERO
        except decimal.InvalidOperation:
            continue
        total += number if number.is_finite() else ZERO
    return total


class Completeness:
    """Judges every STATE and, at the end, the whole input.

    A STATE of an earlier run may come first, because runners hand the old state to the tap and taps
    echo it. Its ``audit`` cannot count for this run: before any record arrived, figures that do not
    fit are taken for such an echo; from the first record on they are a fault. ``complete: true``
    only holds while nothing follows it.
    """

    def __init__(self, mode: str) -> None:
        """Start a run in mode ``strict``, ``complete`` or ``off``."""
        self._mode = mode
        self._tallies: dict[str, Tally] = {}
        self._announced = False
        self._run_id: str | None = None
        self._opened: set[str] = set()
        self._finished = False
        self._finished_at = 0

    def tally(self, stream: str) -> Tally:
        """Figures of a stream."""
        return self._tallies.setdefault(stream, Tally())

    def tallies(self) -> Mapping[str, Tally]:
        """Figures of all streams."""
        return self._tallies

    @property
    def run_id(self) -> str | None:
        """The tap's own run, as its STATE tells it; ``None`` while it has not."""
        return self._run_id

    def something_followed(self) -> None:
        """A SCHEMA or ACTIVATE_VERSION came: whatever was complete is not any more.

        Records need no call: their number shows whether any came.
        """
        self._finished = False

    def judge(self, state: object) -> None:
        """Compare a STATE's figures with what arrived before it.

        Raises:
            IntegrityError: they differ.
        """
        self._finished = False
        audit = state.get("audit") if isinstance(state, dict) else None
        if self._mode == "off" or not isinstance(audit, dict):
            return
        self._announced = True
        run_id, complete = str(audit.get("run_id")), audit.get("complete") is True
        received = self._records() > 0
        faults = self._faults(audit) if self._mode == "strict" else []
        if faults and not received and run_id not in self._opened:
            return  # an echo of an earlier run
        if faults:
            message = (
                "what arrived is not what the tap sent: "
                + "; ".join(faults[:5])
                + "; nothing was replaced or published, run again (a mapper that drops rows needs "
                "completeness: complete)"
            )
            raise IntegrityError(message)
        if received and self._run_id not in (None, run_id):
            message = (
                f"the input mixes the runs {self._run_id} and {run_id}; nothing was replaced or "
                "published, run again"
            )
            raise IntegrityError(message)
        self._run_id = run_id
        if not complete:
            self._opened.add(run_id)
        # Where nothing has arrived, the figures of an echo with no rows fit as well; a run of now
        # has opened with `complete: false`.
        self._finished = complete and (received or run_id in self._opened)
        self._finished_at = self._records()

    def finish(self) -> bool:
        """Judge the end of input.

        Returns:
            Whether completeness is proved; ``False`` for a tap that sends no figures.

        Raises:
            IntegrityError: a tap that sends figures did not say that it finished.
        """
        if self._mode == "off" or not self._announced:
            return False
        if not self._finished or self._records() != self._finished_at:
            message = (
                "the input ended before the tap said that it had sent everything, so it died or "
                "was cut off; nothing was replaced or published: see the tap's last line, then run "
                "again"
            )
            raise IntegrityError(message)
        return True

    def _records(self) -> int:
        return sum(tally.records for tally in self._tallies.values())

    def _faults(self, audit: Mapping[str, Any]) -> list[str]:
        sent = audit.get("streams")
        streams = sent if isinstance(sent, dict) else {}
        faults = []
        for name in {*streams, *self._tallies}:
            figures = streams.get(name)
            figures = figures if isinstance(figures, dict) else {}
            faults += _compare(name, figures, self._tallies.get(name, Tally()))
        return sorted(faults)


def _compare(stream: str, sent: Mapping[str, Any], tally: Tally) -> list[str]:
    faults = []
    for what, found in (("records", tally.records), ("deletes", tally.deletes)):
        if sent.get(what, 0) != found:
            faults.append(f"{stream}: {sent.get(what, 0)} {what} sent, {found} arrived")
    totals = sent.get("totals")
    for column, value in (totals if isinstance(totals, dict) else {}).items():
        try:
            wanted = Decimal(str(value))
        except decimal.InvalidOperation:
            faults.append(f"{stream}.{column}: the tap's sum is no number")
            continue
        found_total = tally.total(column)
        if found_total is None and wanted == ZERO:
            continue
        if found_total != wanted:
            faults.append(
                f"{stream}.{column}: sum {text(wanted)} sent, {text(found_total)} arrived"
            )
    return faults
