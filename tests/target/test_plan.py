"""The way to Tableau, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from target_tableau_hyper.delivery.plan import Situation, Way, decide
from target_tableau_hyper.delivery.update import actions, request_id

LIMIT = 100 * 2**20

SMALL = Situation(
    mode="auto",
    delivered_sha="old",
    sha="new",
    base_sha="old",
    changed_rows=10,
    total_rows=1000,
    payload_bytes=65_536,
    limit_bytes=LIMIT,
    schema_changed=False,
    replaced=False,
    untouched=True,
)


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        pytest.param({}, Way.UPDATE, id="few rows changed"),
        pytest.param({"delivered_sha": "new"}, Way.NOTHING, id="nothing changed"),
        pytest.param(
            {"delivered_sha": "new", "mode": "overwrite"}, Way.NOTHING, id="nothing to overwrite"
        ),
        pytest.param(
            {"delivered_sha": "new", "untouched": False},
            Way.OVERWRITE,
            id="nothing changed here, but somebody else published there",
        ),
        pytest.param({"delivered_sha": None}, Way.OVERWRITE, id="never delivered here"),
        pytest.param(
            {"delivered_sha": "older"}, Way.OVERWRITE, id="last delivery was not confirmed"
        ),
        pytest.param({"schema_changed": True}, Way.OVERWRITE, id="columns changed"),
        pytest.param({"replaced": True}, Way.OVERWRITE, id="table was replaced"),
        pytest.param({"payload_bytes": None}, Way.OVERWRITE, id="changed rows not at hand"),
        pytest.param({"payload_bytes": LIMIT}, Way.UPDATE, id="largest update"),
        pytest.param({"payload_bytes": LIMIT + 1}, Way.OVERWRITE, id="too large"),
        pytest.param({"changed_rows": 500}, Way.UPDATE, id="half of the rows"),
        pytest.param({"changed_rows": 501}, Way.OVERWRITE, id="more than half of the rows"),
        pytest.param(
            {"changed_rows": 501, "mode": "update"}, Way.UPDATE, id="update mode has no such rule"
        ),
        pytest.param(
            {"payload_bytes": LIMIT + 1, "mode": "update"},
            Way.OVERWRITE,
            id="update mode has the server's limit",
        ),
        pytest.param({"mode": "overwrite"}, Way.OVERWRITE, id="overwrite mode"),
        pytest.param({"untouched": False}, Way.OVERWRITE, id="somebody else published there"),
    ],
)
def test_way(changes: dict[str, object], way: Way) -> None:
    assert decide(replace(SMALL, **changes)).way is way  # type: ignore[arg-type]


def test_composite_keys_are_joined_and_deletes_come_first() -> None:
    steps = actions(["dataAreaId", "id"], deletes=True, upserts=True)
    assert [(step["action"], step["source-table"]) for step in steps] == [
        ("delete", "deletes"),
        ("upsert", "upserts"),
    ]
    assert steps[0]["condition"] == {
        "op": "and",
        "args": [
            {"op": "eq", "source-col": "dataAreaId", "target-col": "dataAreaId"},
            {"op": "eq", "source-col": "id", "target-col": "id"},
        ],
    }
    for step in steps:
        assert step["source-schema"] == step["target-schema"] == "Extract"
        assert step["target-table"] == "Extract"


def test_rows_without_a_key_are_inserted_without_a_condition() -> None:
    (step,) = actions([], deletes=False, upserts=True)
    assert step["action"] == "insert"
    assert "condition" not in step


def test_request_id_belongs_to_one_extract_of_one_run() -> None:
    assert request_id("run", "sha") == request_id("run", "sha")
    assert len({request_id("a", "x"), request_id("b", "x"), request_id("a", "y")}) == 3
