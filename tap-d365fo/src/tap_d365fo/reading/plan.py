"""Which strategy reads an entity, and why: a pure decision."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.edm import is_instant

if TYPE_CHECKING:
    from tap_d365fo.metadata.model import Entity
    from tap_d365fo.settings import EntitySettings


class Strategy(StrEnum):
    """How rows are read."""

    FULL = "full"
    CURSOR = "cursor"


#: Names under which an entity publishes when a row was last changed: ``SysModifiedDateTime`` on the
#: BI entities, others by customers' extensions. ``…By`` and ``…TransactionId`` are no instants
#: anyway.
_MODIFIED = re.compile(r"^(sys|last)?modified(on|at)?(date)?(time)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The decision.

    Attributes:
        cursor: Property that bookmarks are taken of; None for ``full``.
        reason: Half a sentence for the log.
    """

    strategy: Strategy
    cursor: str | None
    reason: str


def plan_reading(
    entity: Entity,
    settings: EntitySettings,
    *,
    catalog_method: str | None = None,
    catalog_key: str | None = None,
) -> ReadPlan:
    """Choose how ``entity`` is read.

    Args:
        entity: What the metadata says.
        settings: What ``entity_settings`` says; it wins.
        catalog_method: Singer replication method where the catalog forces one.
        catalog_key: Replication key where the catalog names one.

    Raises:
        ConfigError: a cursor is asked for that the entity cannot give.
    """
    wanted = settings.replication
    if wanted == Strategy.FULL:
        return ReadPlan(Strategy.FULL, None, "entity_settings ask for it")
    if wanted == Strategy.CURSOR or settings.replication_key:
        name = settings.replication_key or detect_cursor(entity)
        return ReadPlan(Strategy.CURSOR, _usable(entity, name), "entity_settings ask for it")
    detected = detect_cursor(entity)
    if catalog_key not in {None, detected} and catalog_method != "FULL_TABLE":
        return ReadPlan(Strategy.CURSOR, _usable(entity, catalog_key), "the catalog asks for it")
    if detected is not None and entity.key and catalog_method != "FULL_TABLE":
        return ReadPlan(Strategy.CURSOR, detected, f"{detected} tells when a row changed")
    reason = "it publishes no time of change" if detected is None else "it has no key"
    if detected is not None and entity.key:
        reason = "the catalog asks for FULL_TABLE"
    return ReadPlan(Strategy.FULL, None, reason)


def detect_cursor(entity: Entity) -> str | None:
    """The property that tells when a row was last changed, if one is published."""
    return next(
        (p.name for p in entity.properties if is_instant(p) and _MODIFIED.match(p.name)), None
    )


def _usable(entity: Entity, name: str | None) -> str:
    if name is None:
        message = (
            f"{entity.entity_set} publishes no time of change; name one as replication_key in "
            "entity_settings, or use replication: full"
        )
        raise ConfigError(message)
    prop = entity.find(name)
    if prop is None or not is_instant(prop) or not entity.key:
        message = (
            f"{entity.entity_set} cannot be read by the cursor {name}: it must be a date-time "
            "property of an entity with a key"
        )
        raise ConfigError(message)
    return name
