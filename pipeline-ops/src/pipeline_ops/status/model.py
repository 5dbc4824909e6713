"""What a status says, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from pipeline_core.ledger import Event


class Standing(StrEnum):
    """How a data source stands; the words are those that people read."""

    FAILED = "Failed"
    PENDING = "Not delivered"
    LATE = "Late"
    UNPUBLISHED = "File only"
    CURRENT = "Current"


#: What is looked at first.
URGENCY = tuple(Standing)


@dataclass(frozen=True, slots=True)
class TableStatus:
    """One table of a data source.

    Attributes:
        stream: Stream that it holds.
        totals: Sum of every number column, as sealed.
    """

    stream: str
    rows: int
    totals: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class DatasourceStatus:
    """One data source.

    Attributes:
        name: In Tableau.
        why: What is wrong, in sentences; empty where nothing is.
        notes: What is worth knowing although nothing is wrong.
        as_of: When its data were last found current; ``None`` where nothing tells.
        place: Server, site and project; empty where it was never published.
        refreshed_at: When Tableau last confirmed new data.
        how: ``overwrite`` or ``update``.
        run_id: The run that last looked at it.
    """

    name: str
    standing: Standing
    why: list[str]
    notes: list[str]
    as_of: datetime | None
    tables: list[TableStatus]
    place: str = ""
    refreshed_at: datetime | None = None
    how: str = ""
    run_id: str = ""

    @property
    def rows(self) -> int:
        """Of all tables."""
        return sum(table.rows for table in self.tables)


@dataclass(frozen=True, slots=True)
class RefreshStatus:
    """The last refresh of something with an extract of its own.

    Attributes:
        item: Project path and name.
        outcome: ``refreshed``, ``asked for``, ``failed``, ``begun`` or ``waiting``.
        error: Why it failed.
    """

    item: str
    kind: str
    outcome: str
    at: datetime | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """One run, as the ledger tells it.

    Attributes:
        actors: Who took part: tap and target have one run id only where MELTANO_RUN_ID is set.
        outcome: ``complete``, ``failed``, or ``open`` for one that goes on or was cut off.
        rows: Read from D365.
        deliveries: Data sources that Tableau confirmed.
        error: What ended it.
        open_effects: What was begun and of whose end nothing is known.
    """

    run_id: str
    actors: list[str]
    began: datetime
    last: datetime
    outcome: str
    rows: int
    deliveries: int
    error: str
    open_effects: list[str]


@dataclass(frozen=True, slots=True)
class Status:
    """All of it.

    Attributes:
        datasources: What needs somebody first.
        runs: The latest first.
        events: Of the latest run, in order.
        ledger: Of which file, and whether its chain is unbroken, as a sentence.
        ledger_broken: The chain is broken.
    """

    at: datetime
    output_dir: str
    datasources: list[DatasourceStatus]
    refreshes: list[RefreshStatus] = field(default_factory=list)
    runs: list[RunStatus] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    ledger: str = ""
    ledger_broken: bool = False

    @property
    def failure(self) -> RunStatus | None:
        """The last run of the tap or of the target, where it failed."""
        seen: set[str] = set()
        for run in self.runs:
            if run.outcome == "failed" and not seen.issuperset(run.actors):
                return run
            seen.update(run.actors)
        return None

    def count(self, *standings: Standing) -> int:
        """How many data sources stand so."""
        return sum(one.standing in standings for one in self.datasources)
