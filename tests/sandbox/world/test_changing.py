"""Rows changed one by one, as a test needs them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contoso_sandbox.world import World

KEY = {"dataAreaId": "usmf", "VendorGroupId": "NEW"}
SET = "VendorGroups"


def row(world: World, entity_set: str = SET, condition: str = "VendorGroupId = 'NEW'") -> Any:  # noqa: ANN401 - a row
    with world.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {entity_set} WHERE {condition}")  # noqa: S608 - constants
        names = [column[0] for column in cursor.description or ()]
        found = cursor.fetchone()
    return None if found is None else dict(zip(names, found, strict=True))


def test_an_inserted_row_has_the_next_rec_id_and_version_one(own_world: World) -> None:
    with own_world.cursor() as cursor:
        highest = cursor.execute(f"SELECT max(__rec_id) FROM {SET}").fetchone()  # noqa: S608 - constant
    assert highest is not None
    own_world.insert(SET, **KEY, Description="New vendors")
    inserted = row(own_world)
    assert inserted["__rec_id"] == highest[0] + 1
    assert inserted["__rec_version"] == 1
    assert inserted["Description"] == "New vendors"


def test_what_is_not_named_is_absent_as_fo_stores_it(own_world: World) -> None:
    own_world.insert("VendorsV2", dataAreaId="usmf", VendorAccountNumber="NEW")
    inserted = row(own_world, "VendorsV2", "VendorAccountNumber = 'NEW'")
    assert inserted["VendorOrganizationName"] == ""
    assert inserted["CreditLimit"] == Decimal(0)
    assert inserted["OnHoldStatus"] == "No"
    assert inserted["__etag_tail"].startswith(";0,0")


def test_each_change_draws_another_version(own_world: World) -> None:
    own_world.insert(SET, **KEY)
    versions = [row(own_world)["__rec_version"]]
    for text in ("a", "b", "c"):
        own_world.change(SET, KEY, Description=text)
        versions.append(row(own_world)["__rec_version"])
        assert row(own_world)["Description"] == text
    assert len(set(versions)) == 4
    assert versions[0] == 1
    assert all(1 < version < 2**31 for version in versions[1:])


def test_a_deleted_row_is_gone(own_world: World) -> None:
    own_world.insert(SET, **KEY)
    own_world.delete(SET, KEY)
    assert row(own_world) is None


def test_a_published_version_and_time_move_along(own_world: World) -> None:
    name = "VendTransBiEntities"
    columns = {p.name for p in own_world.environment.entity_sets[name].properties}
    assert {"SysModifiedDateTime", "SysRecVersion", "SourceKey"} <= columns
    own_world.insert(name, dataAreaId="usmf", Voucher="NEW-1")
    first = row(own_world, name, "Voucher = 'NEW-1'")
    assert first["SourceKey"] == first["__rec_id"]
    assert first["SysRecVersion"] == 1
    own_world.change(name, {"SourceKey": first["SourceKey"]}, Txt="changed")
    second = row(own_world, name, "Voucher = 'NEW-1'")
    assert second["SysRecVersion"] == second["__rec_version"] != 1
    assert second["SysModifiedDateTime"] > first["SysModifiedDateTime"]
    evening = datetime.combine(own_world.today, second["SysModifiedDateTime"].time())
    assert second["SysModifiedDateTime"] == evening


@pytest.mark.parametrize(
    ("entity_set", "key", "values"),
    [
        pytest.param("Nothing", {}, {}, id="no such set"),
        pytest.param(SET, {"Nothing": 1}, {"Description": ""}, id="no such key property"),
        pytest.param(SET, KEY, {"Nothing": 1}, id="no such property"),
        pytest.param(SET, KEY, {"Description": ""}, id="no such row"),
        pytest.param(SET, {"dataAreaId": "usmf"}, {"Description": "all"}, id="several rows"),
    ],
)
def test_a_change_that_strikes_no_single_row_is_refused(
    own_world: World, entity_set: str, key: dict[str, object], values: dict[str, object]
) -> None:
    with pytest.raises(LookupError):
        own_world.change(entity_set, key, **values)
    with own_world.cursor() as cursor:
        changed = cursor.execute(
            f"SELECT count(*) FROM {SET} WHERE Description = 'all'"  # noqa: S608 - constant
        ).fetchone()
    assert changed == (0,)


def test_the_world_still_advances_after_changes_by_hand(own_world: World) -> None:
    own_world.insert(SET, **KEY)
    assert own_world.advance(1).days
    assert row(own_world) is not None
