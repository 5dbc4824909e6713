"""Which strategy reads an entity."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline_core.errors import ConfigError
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.reading.plan import Strategy, plan_reading
from tap_d365fo.settings import EntitySettings

KEY = Property("SourceKey", "Edm.Int64", "Int64", is_key=True)
MODIFIED = Property("SysModifiedDateTime", "Edm.DateTimeOffset", "UtcDateTime", is_key=False)
CUSTOM = Property("ConChangedAt", "Edm.DateTimeOffset", "UtcDateTime", is_key=False)
MODIFIED_BY = Property("SysModifiedBy", "Edm.String", "String", is_key=False)
MODIFIED_DAY = Property("ModifiedDate", "Edm.DateTimeOffset", "Date", is_key=False)


def entity(*properties: Property) -> Entity:
    return Entity("VendTransBiEntities", properties)


LEDGER = Entity("GeneralJournalAccountEntryBiEntities", (KEY,))


@pytest.mark.parametrize(
    ("published", "settings", "catalog", "strategy", "cursor"),
    [
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(), None, Strategy.CURSOR, "SysModifiedDateTime"),
            id="a time of change is used",
        ),
        pytest.param(
            entity(KEY, MODIFIED_BY, MODIFIED_DAY),
            *(EntitySettings(), None, Strategy.FULL, None),
            id="a user or a day is no time of change",
        ),
        pytest.param(
            entity(MODIFIED),
            *(EntitySettings(), None, Strategy.FULL, None),
            id="without a key there is no order",
        ),
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(), "FULL_TABLE", Strategy.FULL, None),
            id="the catalog may ask for everything",
        ),
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(replication="full"), None, Strategy.FULL, None),
            id="settings may ask for everything",
        ),
        pytest.param(
            entity(KEY, MODIFIED, CUSTOM),
            *(EntitySettings(replication_key="ConChangedAt"), "FULL_TABLE"),
            *(Strategy.CURSOR, "ConChangedAt"),
            id="a named key wins",
        ),
        pytest.param(
            LEDGER,
            *(EntitySettings(), None, Strategy.HIGH_WATER, "SourceKey"),
            id="posted entries are only ever added",
        ),
        pytest.param(
            replace(LEDGER, entity_set="VendTransBiEntities"),
            *(EntitySettings(), None, Strategy.FULL, None),
            id="a number alone says nothing",
        ),
        pytest.param(
            replace(LEDGER, entity_set="VendTransBiEntities"),
            *(EntitySettings(replication_key="SourceKey"), None),
            *(Strategy.HIGH_WATER, "SourceKey"),
            id="unless somebody says it",
        ),
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(expand=("Lines",)), None, Strategy.FULL, None),
            id="related rows change by themselves",
        ),
    ],
)
def test_the_choice(
    published: Entity,
    settings: EntitySettings,
    catalog: str | None,
    strategy: Strategy,
    cursor: str | None,
) -> None:
    plan = plan_reading(published, settings, catalog_method=catalog)
    assert (plan.strategy, plan.cursor) == (strategy, cursor)
    assert plan.reason


@pytest.mark.parametrize(
    ("published", "settings", "catalog", "strategy", "reason"),
    [
        pytest.param(
            entity(KEY),
            *(EntitySettings(), None, Strategy.ETAG_SCAN, "it publishes no time of change, and"),
            id="the normal case",
        ),
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(), None, Strategy.CURSOR, "SysModifiedDateTime tells when"),
            id="a time of change is cheaper",
        ),
        pytest.param(
            LEDGER,
            *(EntitySettings(), None, Strategy.HIGH_WATER, "posted entries are only ever added"),
            id="the ledger",
        ),
        pytest.param(
            entity(KEY, MODIFIED),
            *(EntitySettings(replication="etag_scan"), None),
            *(Strategy.ETAG_SCAN, "entity_settings ask for it"),
            id="settings may ask for it",
        ),
        pytest.param(
            entity(MODIFIED),
            *(EntitySettings(), None, Strategy.FULL, "it has no key"),
            id="no key, no snapshot",
        ),
        pytest.param(
            entity(KEY),
            *(EntitySettings(expand=("Lines",)), None, Strategy.FULL, "what it expands may change"),
            id="etags do not tell of related rows",
        ),
        pytest.param(
            entity(KEY),
            *(EntitySettings(), "FULL_TABLE", Strategy.FULL, "the catalog asks for FULL_TABLE"),
            id="the catalog may ask for everything",
        ),
    ],
)
def test_the_choice_where_there_is_a_place_for_snapshots(
    published: Entity,
    settings: EntitySettings,
    catalog: str | None,
    strategy: Strategy,
    reason: str,
) -> None:
    plan = plan_reading(published, settings, has_snapshots=True, catalog_method=catalog)
    assert plan.strategy is strategy
    assert plan.reason.startswith(reason)


@pytest.mark.parametrize("published", [entity(KEY), entity(MODIFIED)], ids=["folder", "key"])
def test_a_scan_that_cannot_be_is_a_configuration_error(published: Entity) -> None:
    has_key = bool(published.key)
    with pytest.raises(ConfigError, match="snapshot_path" if has_key else "use full"):
        plan_reading(published, EntitySettings(replication="etag_scan"), has_snapshots=not has_key)


@pytest.mark.parametrize(
    ("published", "settings"),
    [
        pytest.param(entity(KEY), EntitySettings(replication="cursor"), id="nothing published"),
        pytest.param(entity(KEY), EntitySettings(replication_key="Nope"), id="unknown"),
        pytest.param(
            entity(KEY, MODIFIED_DAY), EntitySettings(replication_key="ModifiedDate"), id="a day"
        ),
        pytest.param(
            entity(MODIFIED), EntitySettings(replication_key="SysModifiedDateTime"), id="no key"
        ),
    ],
)
def test_an_impossible_cursor_is_a_configuration_error(
    published: Entity, settings: EntitySettings
) -> None:
    with pytest.raises(ConfigError, match="VendTransBiEntities"):
        plan_reading(published, settings)


def test_a_key_that_the_catalog_names_is_used() -> None:
    plan = plan_reading(entity(KEY, MODIFIED, CUSTOM), EntitySettings(), catalog_key="ConChangedAt")
    assert (plan.strategy, plan.cursor) == (Strategy.CURSOR, "ConChangedAt")
