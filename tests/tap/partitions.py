"""A partition over a table in memory, and a target that keeps what it is sent."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from tests.tap.odata_table import HOME
from tests.tap.test_scope import config

from pipeline_core.ledger import NoLedger
from tap_d365fo.partition import Partition, Source
from tap_d365fo.reading.plan import ReadPlan, Strategy
from tap_d365fo.reading.rows import RowDecoder
from tap_d365fo.reading.typed_rows import TypedRow
from tap_d365fo.settings import EntitySettings, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tap.odata_table import ODataTable

    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.reading.portion import Portion

STARTED_AT = datetime(2026, 11, 1, tzinfo=UTC)


def partition(
    table: ODataTable,
    entity: Entity,
    snapshots: Path | None = None,
    *,
    strategy: Strategy = Strategy.ETAG_SCAN,
    started_at: datetime = STARTED_AT,
    settings: EntitySettings | None = None,
    select: tuple[str, ...] = (),
    **changes: object,
) -> Partition:
    """The partition ``usmf`` of a per-company entity, or all of a shared one."""
    if snapshots is not None:
        changes["snapshot_path"] = str(snapshots)
    names = frozenset(select or (p.name for p in entity.properties))
    reader = RowDecoder(entity, names, null_sentinels=True).reader(whole=not select, etags=True)
    return Partition(
        source=Source(
            Settings.from_config(config(environment_url=HOME, **changes)),
            table,
            NoLedger(),
            ("usmf",),
            started_at,
        ),
        entity=entity,
        plan=ReadPlan(strategy, None, "test"),
        settings=settings or EntitySettings(),
        company="usmf" if entity.per_company else None,
        select=select,
        row_reader=reader,
    )


@dataclass
class Target:
    """What a target holds that commits rows together with the state that follows them.

    Attributes:
        rows: By exact key.
        state: Of the partition, as last committed.
        deleted: Keys of all deletions that ever came.
    """

    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    deleted: list[tuple[Any, ...]] = field(default_factory=list)

    def copy(self) -> Target:
        """Another target that is just so."""
        return copy.deepcopy(self)

    def run(self, part: Partition, table: ODataTable, *, portions: int | None = None) -> bool:
        """Take one run as the stream plays it; it dies after so many ``portions``.

        Returns:
            Whether the run came to its end.
        """
        anew = part.must_start_over(self.state)
        whole = anew or (part.is_new(self.state) and not part.resumes(self.state))
        before = set(self.rows)
        came: set[tuple[Any, ...]] = set()
        moved: dict[str, Any] = {}
        walk = part.portions({} if anew else copy.deepcopy(self.state))
        for number, portion in enumerate(walk):
            if number == portions:
                walk.close()  # type: ignore[attr-defined]  # a generator
                return False
            came |= self._take(portion, table)
            moved.update(portion.state)
            if not anew:
                self._move(moved)
        self._move(moved)
        if whole:
            for key in before - came:
                del self.rows[key]
        return True

    def _take(self, portion: Portion, table: ODataTable) -> set[tuple[Any, ...]]:
        for row in portion.deleted:
            key = table.exact_key(row)
            self.deleted.append(key)
            self.rows.pop(key, None)
        for found in portion.rows:
            names = found.slots if isinstance(found, TypedRow) else cast("dict[str, Any]", found)
            self.rows[table.exact_key(found)] = {name: found[name] for name in names}
        return {table.exact_key(row) for row in portion.rows}

    def _move(self, moved: dict[str, Any]) -> None:
        for name, value in moved.items():
            if value is None:
                self.state.pop(name, None)
            else:
                self.state[name] = value
