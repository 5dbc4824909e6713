"""``PATCH …/data``: every action on real files, all or nothing, once per request id."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import requests
    from tests.sandbox.tableau.conftest import Hypers, Rest, Running

COLUMNS = '"id" INT NOT NULL, "company" TEXT, "amount" NUMERIC(18, 2), "day" DATE'
BEFORE = [
    [1, "usmf", Decimal("-0.05"), None],
    [2, "usmf", Decimal("10.00"), None],
    [2, "gbsi", Decimal("20.00"), None],
    [3, None, None, None],
]
ROWS = """SELECT "id", "company", "amount", CAST("day" AS TEXT) FROM "Extract"."Extract"
ORDER BY "id", "company" DESC"""
BY_ID = {"op": "eq", "source-col": "id", "target-col": "id"}
BY_BOTH = {
    "op": "and",
    "args": [BY_ID, {"op": "eq", "source-col": "company", "target-col": "company"}],
}


def const(column: str, operator: str, kind: str, value: object) -> dict[str, object]:
    return {"op": operator, "target-col": column, "const": {"type": kind, "v": value}}


class Target:
    """A published data source of four rows, and updates of it."""

    def __init__(self, running: Running, rest: Rest, hypers: Hypers, name: str) -> None:
        self.running, self.rest, self.hypers, self.name = running, rest, hypers, name
        file = hypers.table(
            COLUMNS,
            "(1, 'usmf', -0.05, NULL)",
            "(2, 'usmf', 10.00, NULL)",
            "(2, 'gbsi', 20.00, NULL)",
            "(3, NULL, NULL, NULL)",
        )
        assert rest.publish(file, name).status_code == 201
        self.id = running.server.datasources()[-1].id

    def rows(self) -> Any:  # noqa: ANN401
        copy = self.running.server.hyper_file(self.name)
        return self.hypers.rows(copy, ROWS)

    def send(
        self,
        *actions: dict[str, object],
        payload: Path | None = None,
        key: str = "key",
        connection: str = "",
    ) -> requests.Response:
        upload = ""
        if payload is not None:
            started = self.rest.call("POST", "/sites/{site}/fileUploads").json()
            session = started["fileUpload"]["uploadSessionId"]
            parts = [("tableau_file", "file", "application/octet-stream", payload.read_bytes())]
            sent = self.rest.multipart("PUT", f"/sites/{{site}}/fileUploads/{session}", parts)
            assert sent.ok
            upload = f"?uploadSessionId={session}"
        return self.rest.call(
            "PATCH",
            f"/sites/{{site}}/datasources/{self.id}{connection}/data{upload}",
            json={"actions": list(actions)},
            headers={"RequestID": key} if key else {},
        )

    def run(self, *actions: dict[str, object], payload: Path | None = None) -> dict[str, Any]:
        """Send, wait, and return the finished job."""
        answer = self.send(*actions, payload=payload)
        assert answer.status_code == 202, answer.text
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            path = f"/sites/{{site}}/jobs/{answer.json()['job']['id']}"
            job: dict[str, Any] = self.rest.call("GET", path).json()["job"]
            if "completedAt" in job:
                return job
            time.sleep(0.02)
        raise TimeoutError


def act(
    verb: str,
    condition: object = None,
    *,
    source: str | None = "Extract",
    into: object = "Extract",
    schema: str = "Extract",
) -> dict[str, object]:
    action: dict[str, object] = {"action": verb, "target-schema": schema, "target-table": into}
    if source is not None:
        action |= {"source-schema": "Extract", "source-table": source}
    if condition is not None:
        action["condition"] = condition
    return action


@pytest.fixture
def target(running: Running, hypers: Hypers, request: pytest.FixtureRequest) -> Target:
    return Target(running, running.rest("application/json"), hypers, request.node.name)


@pytest.mark.parametrize(
    ("action", "payload", "after"),
    [
        pytest.param(
            act("insert"),
            ["(9, 'demf', 0.01, DATE '2026-01-31')"],
            [*BEFORE, [9, "demf", Decimal("0.01"), "2026-01-31"]],
            id="insert",
        ),
        pytest.param(
            act("replace"),
            ["(9, 'demf', -99999999999999.99, NULL)"],
            [[9, "demf", Decimal("-99999999999999.99"), None]],
            id="replace",
        ),
        pytest.param(act("replace"), [], [], id="replace by nothing"),
        pytest.param(
            act("update", BY_BOTH),
            ["(2, 'gbsi', 21.00, NULL)", "(8, 'gbsi', 8.00, NULL)"],
            [*BEFORE[:2], [2, "gbsi", Decimal("21.00"), None], BEFORE[3]],
            id="update leaves out what does not match",
        ),
        pytest.param(
            act("update", BY_ID),
            ["(2, 'all', 0.00, NULL)"],
            [
                BEFORE[0],
                [2, "all", Decimal("0.00"), None],
                [2, "all", Decimal("0.00"), None],
                BEFORE[3],
            ],
            id="one payload row may change several",
        ),
        pytest.param(
            act("upsert", BY_BOTH),
            ["(1, 'usmf', 0.05, NULL)", "(1, 'gbsi', 7.00, NULL)"],
            [[1, "usmf", Decimal("0.05"), None], [1, "gbsi", Decimal("7.00"), None], *BEFORE[1:]],
            id="upsert by a composite key",
        ),
        pytest.param(
            act("upsert", BY_BOTH),
            ["(3, NULL, 5.00, NULL)"],
            [*BEFORE, [3, None, Decimal("5.00"), None]],
            id="NULL in a key equals nothing: upsert inserts",
        ),
        pytest.param(
            act(
                "upsert",
                {
                    "op": "and",
                    "args": [BY_BOTH, {"op": "lt", "target-col": "amount", "source-col": "amount"}],
                },
            ),
            ["(2, 'gbsi', 25.00, NULL)"],
            [*BEFORE[:2], [2, "gbsi", Decimal("25.00"), None], BEFORE[3]],
            id="what is new is settled before anything changes",
        ),
        pytest.param(
            act("delete", BY_ID),
            ["(2, NULL, NULL, NULL)", "(77, NULL, NULL, NULL)"],
            [BEFORE[0], BEFORE[3]],
            id="delete by key",
        ),
        pytest.param(
            act("delete", const("company", "eq", "string", "usmf"), source=None),
            None,
            [BEFORE[2], BEFORE[3]],
            id="delete by a constant, without payload",
        ),
        pytest.param(
            act("delete", {"op": "not", "args": [const("id", "lte", "integer", 2)]}, source=None),
            None,
            BEFORE[:3],
            id="not",
        ),
        pytest.param(
            act(
                "delete",
                {
                    "op": "or",
                    "args": [const("id", "eq", "integer", "1"), const("id", "gt", "integer", "2")],
                },
                source=None,
            ),
            None,
            BEFORE[1:3],
            id="or",
        ),
        pytest.param(
            act("delete", const("company", "eq", "string", "x' OR 1=1 --"), source=None),
            None,
            BEFORE,
            id="a constant is no SQL",
        ),
    ],
)
def test_actions_change_the_rows(
    target: Target,
    hypers: Hypers,
    action: dict[str, object],
    payload: list[str] | None,
    after: list[list[object]],
) -> None:
    file = None if payload is None else hypers.table(COLUMNS, *payload)
    job = target.run(action, payload=file)
    assert job["finishCode"] == "0", job
    assert sorted(target.rows(), key=repr) == sorted(after, key=repr)


def test_constants_of_every_kind(target: Target, hypers: Hypers) -> None:
    columns = '"k" INT, "b" BOOL, "d" DOUBLE PRECISION, "t" TIMESTAMP, "z" TIMESTAMPTZ, "day" DATE'
    row = "({}, {}, {}, TIMESTAMP '{}', TIMESTAMPTZ '{}+00:00', DATE '2020-01-0{}')"
    file = hypers.table(
        columns,
        row.format(1, "true", 0.5, "2020-01-01 00:00:00", "2020-01-01 00:00:00", 1),
        row.format(2, "false", 1.5, "2020-01-02 00:00:00", "2020-01-02 00:00:00", 2),
    )
    target.rest.publish(file, target.name, "&overwrite=true")
    second = "2020-01-02T00:00:00Z"
    for condition in (
        const("b", "eq", "boolean", value=False),
        const("b", "neq", "boolean", "true"),
        const("d", "gt", "double", "1.0"),
        const("t", "gte", "datetime", second),
        const("z", "gte", "datetime", second),
        const("day", "gte", "datetime", "2020-01-02"),
    ):
        target.rest.publish(file, target.name, "&overwrite=true")
        answer = target.send(act("delete", condition, source=None), key=str(condition))
        wait(target, answer)
        left = hypers.rows(target.running.server.hyper_file(target.name))
        assert [line[0] for line in left] == [1], condition


def test_payload_columns_are_matched_by_name_and_missing_ones_become_null(
    target: Target, hypers: Hypers
) -> None:
    payload = hypers.table(
        '"amount" NUMERIC(10, 1), "id" SMALLINT NOT NULL', "(0.5, 1)", "(7.5, 9)"
    )
    assert target.run(act("upsert", BY_ID), payload=payload)["finishCode"] == "0"
    assert target.rows() == [
        [1, "usmf", Decimal("0.50"), None],
        *BEFORE[1:],
        [9, None, Decimal("7.50"), None],
    ]


@pytest.mark.parametrize(
    ("action", "columns", "rows", "note"),
    [
        pytest.param(
            act("insert", source="updated_rows"), COLUMNS, [],
            "errorCode=410012 Specified table does not exist: updated_rows", id="no source table",
        ),
        pytest.param(
            act("insert", into="missing"), COLUMNS, [],
            "errorCode=410012 Specified table does not exist: missing", id="no target table",
        ),
        pytest.param(
            act("insert", schema="public"), COLUMNS, [],
            "errorCode=410012 Specified table does not exist: Extract", id="another schema",
        ),
        pytest.param(
            act("insert"), '"id" INT, "colour" TEXT', [], "'colour'", id="a column too many",
        ),
        pytest.param(
            act("insert"), '"id" INT, "amount" NUMERIC(18, 6)', ["(1, 0.000001)"], "NUMERIC(18, 6)",
            id="digits that would be lost",
        ),
        pytest.param(
            act("insert"), '"id" INT, "amount" DOUBLE PRECISION', ["(1, 0.1)"], "DOUBLE",
            id="a float for money",
        ),
        pytest.param(
            act("upsert", BY_ID), COLUMNS, ["(2, 'a', 1, NULL)", "(2, 'b', 2, NULL)"],
            "Several rows", id="two payload rows for one target row",
        ),
        pytest.param(
            act("delete", {"op": "eq", "source-col": "key", "target-col": "id"}), COLUMNS, [],
            "Column 'key' does not exist", id="no such key column",
        ),
        pytest.param(
            act("insert"), '"id" INT', ["(8)", "(NULL)"], "null", id="NULL where it is not allowed",
        ),
    ],
)  # fmt: skip
def test_a_failed_action_undoes_the_ones_before_it(
    *,
    target: Target,
    hypers: Hypers,
    action: dict[str, object],
    columns: str,
    rows: list[str],
    note: str,
) -> None:
    first = act("delete", const("id", "eq", "integer", 1), source=None)
    moment = target.running.server.datasources()[-1].updated_at
    job = target.run(first, action, payload=hypers.table(columns, *rows))
    assert job["finishCode"] == "1"
    assert note.lower() in job["updateUploadedFileJob"]["notes"].lower()
    assert target.rows() == BEFORE
    assert target.running.server.datasources()[-1].updated_at == moment
    assert target.running.server.jobs()[-1].notes


@pytest.mark.parametrize(
    "action",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"action": "merge", "target-table": "Extract"}, id="an unknown action"),
        pytest.param({"action": "delete", "target-table": "Extract"}, id="delete, no condition"),
        pytest.param(act("upsert", source="Extract"), id="upsert without condition"),
        pytest.param(act("insert", source=None), id="insert without source"),
        pytest.param({"action": "delete", "condition": BY_ID}, id="no target table"),
        pytest.param(act("insert"), id="a source table, but no payload"),
        pytest.param(act("insert", into=7), id="a table that is no name"),
    ],
)
def test_a_request_that_cannot_be_read_is_400000(target: Target, action: dict[str, object]) -> None:
    assert target.rest.error(target.send(action)) == "400000"
    assert target.rows() == BEFORE


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param({"op": "like", "target-col": "id", "source-col": "id"}, id="operator"),
        pytest.param({"op": "eq", "target-col": "id"}, id="one side"),
        pytest.param({"op": "and", "args": []}, id="no arguments"),
        pytest.param({"op": "not", "args": [BY_ID, BY_ID]}, id="not with two"),
        pytest.param(const("id", "eq", "integer", "1; DROP TABLE x"), id="no integer"),
        pytest.param(const("day", "eq", "datetime", "yesterday"), id="no instant"),
        pytest.param(const("id", "eq", "money", "1"), id="an unknown type"),
        pytest.param([], id="no object"),
    ],
)
def test_a_condition_that_cannot_be_read_fails_the_job(
    target: Target, hypers: Hypers, condition: object
) -> None:
    job = target.run(act("delete", condition), payload=hypers.table(COLUMNS))
    assert job["finishCode"] == "1"
    assert target.rows() == BEFORE


def test_the_same_request_id_is_executed_once_for_24_hours(
    start: Callable[..., Running], tmp_path: Path, hypers: Hypers
) -> None:
    running = start(tmp_path, token_minutes=10_000)
    target = Target(running, running.rest("application/json"), hypers, "Replayed")
    payload = hypers.table(COLUMNS, "(9, 'new', 1, NULL)")

    def insert(key: str) -> str:
        answer = target.send(act("insert"), payload=payload, key=key)
        wait(target, answer)
        return str(answer.json()["job"]["id"])

    first = insert("a")
    assert insert("a") == first
    running.move_clock(timedelta(hours=23, minutes=59))
    assert insert("a") == first
    assert len(target.rows()) == len(BEFORE) + 1
    assert insert("b") != first
    running.move_clock(timedelta(hours=24, minutes=1))
    assert insert("a") != first
    assert len(target.rows()) == len(BEFORE) + 3


def test_a_repeated_request_needs_its_upload_no_more(target: Target, hypers: Hypers) -> None:
    """A client that lost the answer sends the very same request again."""
    payload = hypers.table(COLUMNS, "(9, 'new', 1, NULL)")
    first = target.send(act("insert"), payload=payload)
    sent = first.request
    again = target.rest.session.send(sent, verify=str(target.running.tls.ca_bundle), timeout=30)
    assert again.status_code == 202
    assert again.json()["job"]["id"] == first.json()["job"]["id"]


def test_the_request_id_is_required(target: Target) -> None:
    answer = target.send(act("delete", const("id", "eq", "integer", 1), source=None), key="")
    assert target.rest.error(answer) == "400000"


def test_unknown_data_sources_connections_and_uploads_are_404(target: Target) -> None:
    action = act("delete", const("id", "eq", "integer", 1), source=None)
    unknown = "7a8f8f0e-0000-4000-8000-000000000000"
    assert target.rest.error(target.send(action, connection=f"/connections/{unknown}")) == "404026"
    patch = f"/sites/{{site}}/datasources/{target.id}/data?uploadSessionId=1:ab-1:0"
    answer = target.rest.call(
        "PATCH", patch, json={"actions": [action]}, headers={"RequestID": "u"}
    )
    assert target.rest.error(answer) == "404015"
    target.id = unknown
    assert target.rest.error(target.send(action)) == "404004"


def test_a_payload_above_100_mb_is_refused(
    target: Target, monkeypatch: pytest.MonkeyPatch, hypers: Hypers
) -> None:
    payload = hypers.table(COLUMNS)
    monkeypatch.setattr(
        "contoso_sandbox.tableau.updates.MAX_PAYLOAD_BYTES", payload.stat().st_size - 1
    )
    assert target.rest.error(target.send(act("insert"), payload=payload)) == "413000"


def test_a_hyperd_that_was_killed_is_started_again(target: Target, hypers: Hypers) -> None:
    process = target.running.server._hyperd._process  # noqa: SLF001 - no client can reach it
    assert process is not None
    found = re.search(r"\.s\.PGSQL\.(\d+)", process.endpoint.connection_descriptor)
    assert found
    os.kill(int(found[1]), signal.SIGKILL)
    payload = hypers.table(COLUMNS, "(9, 'new', 1, NULL)")
    assert target.run(act("insert"), payload=payload)["finishCode"] == "0"
    assert len(target.rows()) == len(BEFORE) + 1


def wait(target: Target, answer: requests.Response) -> None:
    assert answer.status_code == 202, answer.text
    deadline = time.monotonic() + 30
    while any(job.completed_at is None for job in target.running.server.jobs()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert target.running.server.jobs()[-1].finish_code == 0
