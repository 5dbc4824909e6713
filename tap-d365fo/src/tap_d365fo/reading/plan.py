"""Which strategy reads an entity, and why: a pure decision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.edm import is_instant

if TYPE_CHECKING:
    from tap_d365fo.metadata.model import Entity, Property
    from tap_d365fo.settings import EntitySettings


class Strategy(StrEnum):
    """How rows are read."""

    FULL = "full"
    CURSOR = "cursor"
    HIGH_WATER = "high_water"
    ETAG_SCAN = "etag_scan"


#: Names under which an entity publishes when a row was last changed: ``SysModifiedDateTime`` on the
#: BI entities, others by customers' extensions. ``…By`` and ``…TransactionId`` are no instants
#: anyway.
_MODIFIED = re.compile(r"^(sys|last)?modified(on|at)?(date)?(time)?$", re.IGNORECASE)

#: The posted general ledger: rows are only ever added, a correction is a new row. Nothing else is
#: known to be so; ``entity_settings`` can say it of other sets.
_APPEND_ONLY = re.compile(r"^GeneralJournal(Account)?Entry(W)?BiEntities$")

#: The RecId of the mirrored table.
_SOURCE_KEY = "SourceKey"


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The decision.

    Attributes:
        cursor: Property that bookmarks are taken of; None for ``full`` and ``etag_scan``.
        reason: Half a sentence for the log.
    """

    strategy: Strategy
    cursor: str | None
    reason: str

    @property
    def needs_etags(self) -> bool:
        """Whether rows are told apart by their etag."""
        return self.strategy in {Strategy.CURSOR, Strategy.ETAG_SCAN}


def plan_reading(
    entity: Entity,
    settings: EntitySettings,
    *,
    has_snapshots: bool = False,
    catalog_method: str | None = None,
    catalog_key: str | None = None,
) -> ReadPlan:
    """Choose how ``entity`` is read.

    Args:
        entity: What the metadata says.
        settings: What ``entity_settings`` says; it wins.
        has_snapshots: Whether there is a place for what ``etag_scan`` remembers.
        catalog_method: Singer replication method where the catalog forces one.
        catalog_key: Replication key where the catalog names one.

    Raises:
        ConfigError: a strategy or key is asked for that the entity cannot give.
    """
    automatic = _automatic(entity, has_snapshots=has_snapshots, expands=bool(settings.expand))
    if settings.replication == Strategy.ETAG_SCAN:
        return _asked_to_scan(entity, has_snapshots=has_snapshots)
    if settings.replication != "auto" or settings.replication_key:
        return _asked(entity, settings.replication, settings.replication_key, "entity_settings ask")
    if catalog_method == "FULL_TABLE" and automatic.strategy is not Strategy.FULL:
        return ReadPlan(Strategy.FULL, None, "the catalog asks for FULL_TABLE")
    if catalog_method != "FULL_TABLE" and catalog_key not in {None, automatic.cursor}:
        return _asked(entity, "auto", catalog_key, "the catalog asks")
    return automatic


def _automatic(entity: Entity, *, has_snapshots: bool, expands: bool) -> ReadPlan:
    if not entity.key:
        return ReadPlan(Strategy.FULL, None, "it has no key")
    if expands:
        # Neither its own time of change nor its etag tells of what changes in a related row.
        return ReadPlan(Strategy.FULL, None, "what it expands may change without it")
    if _APPEND_ONLY.match(entity.entity_set) and _is_number(entity.find(_SOURCE_KEY)):
        return ReadPlan(Strategy.HIGH_WATER, _SOURCE_KEY, "posted entries are only ever added")
    cursor = _change_time(entity)
    if cursor is not None:
        return ReadPlan(Strategy.CURSOR, cursor, f"{cursor} tells when a row changed")
    if not has_snapshots:
        return ReadPlan(
            Strategy.FULL, None, "it publishes no time of change and snapshot_path is not set"
        )
    return ReadPlan(
        Strategy.ETAG_SCAN, None, "it publishes no time of change, and etags tell what changed"
    )


def _asked_to_scan(entity: Entity, *, has_snapshots: bool) -> ReadPlan:
    if entity.key and has_snapshots:
        return ReadPlan(Strategy.ETAG_SCAN, None, "entity_settings ask for it")
    lacks = "snapshot_path" if entity.key else "a key, which the entity lacks; use full"
    message = f"{entity.entity_set} cannot be read by etag_scan: it needs {lacks}"
    raise ConfigError(message)


def _asked(entity: Entity, strategy: str, name: str | None, who: str) -> ReadPlan:
    """A plan that somebody asked for, when the entity can be read that way."""
    if strategy == Strategy.FULL:
        return ReadPlan(Strategy.FULL, None, f"{who} for it")
    if name is None:
        name = _change_time(entity) if strategy == Strategy.CURSOR else _SOURCE_KEY
    prop = entity.find(name) if name else None
    fitting = {
        Strategy.CURSOR: prop is not None and is_instant(prop),
        Strategy.HIGH_WATER: _is_number(prop),
    }
    for candidate, fits in fitting.items():
        if fits and entity.key and name and strategy in {"auto", candidate}:
            return ReadPlan(candidate, name, f"{who} for it")
    message = (
        f"{entity.entity_set} cannot be read by {name or 'a time of change, which it lacks'}: "
        "`cursor` needs a key and a date-time replication_key, `high_water` a key and an Int64 "
        "replication_key; otherwise use replication: etag_scan or full"
    )
    raise ConfigError(message)


def _change_time(entity: Entity) -> str | None:
    """The property that tells when a row was last changed, if one is published."""
    return next(
        (p.name for p in entity.properties if is_instant(p) and _MODIFIED.match(p.name)), None
    )


def _is_number(prop: Property | None) -> bool:
    return prop is not None and prop.edm_type == "Edm.Int64"
