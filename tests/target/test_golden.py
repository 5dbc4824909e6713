"""Streams with everything that is hard to store, read back through psycopg on hyperd's socket."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, date, datetime, time
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import target_test_streams
from tests.target.messages import record, schema, state

from pipeline_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Extracts, Rows


ID = {"id": {"type": "integer"}}
NUMBER = {"type": ["null", "number"]}
TEXT = {"type": ["null", "string"]}

DECIMALS = [
    Decimal("-0.05"),
    Decimal("0.01"),
    Decimal("999999999999.99"),
    Decimal("-999999999999.99"),
    Decimal("0.1234567890123456"),
    Decimal("12345678901234567890.12345678"),
    Decimal(-3),
    None,
]


def test_decimals_are_read_back_digit_by_digit(extracts: Extracts, rows: Rows) -> None:
    extracts.run(
        [
            schema("gl", {**ID, "amount": NUMBER}),
            *(record("gl", {"id": i, "amount": value}) for i, value in enumerate(DECIMALS)),
        ]
    )
    stored = rows(extracts.path("gl"))
    assert stored == list(enumerate(DECIMALS))
    assert all(value is None or isinstance(value, Decimal) for _, value in stored)
    with localcontext(prec=60):  # the default of 28 digits would round the sum
        total = sum(value for value in DECIMALS if value is not None)
    assert Decimal(extracts.manifest("gl")["totals"]["amount"]) == total


def test_each_decimal_column_has_its_own_scale(extracts: Extracts, rows: Rows) -> None:
    exact = {"type": ["null", "string"], "format": "x-singer.decimal"}
    extracts.run(
        [
            schema("fx", {**ID, "rate": NUMBER, "amount": NUMBER, "text": exact}),
            record(
                "fx",
                {
                    "id": 1,
                    "rate": Decimal("1.0837000000000001"),
                    "amount": Decimal(7),
                    "text": "1234567890123456789012345678",
                },
            ),
        ]
    )
    columns = {c["name"]: c["type"] for c in extracts.manifest("fx")["columns"]}
    assert columns == {
        "id": "BIGINT",
        "rate": "NUMERIC(18,16)",
        "amount": "NUMERIC(18,2)",
        "text": "NUMERIC(38,2)",
    }
    assert rows(extracts.path("fx")) == [
        (1, Decimal("1.0837000000000001"), Decimal(7), Decimal(1234567890123456789012345678))
    ]


def test_every_kind_of_value_is_read_back(extracts: Extracts, rows: Rows) -> None:
    properties = {
        **ID,
        "flag": {"type": ["boolean", "null"]},
        "day": {"type": ["string", "null"], "format": "date"},
        "clock": {"type": ["string", "null"], "format": "time"},
        "instant": {"type": ["string", "null"], "format": "date-time"},
        "uuid": {"type": ["string", "null"], "format": "uuid"},
        "nested": {"type": ["object", "null"], "properties": {"a": {"type": "number"}}},
        "list": {"type": ["array", "null"], "items": {"type": ["integer", "null"]}},
        "text": TEXT,
        "any": {},
    }
    values = {
        "id": -(2**63),
        "flag": False,
        "day": "1900-01-01",
        "clock": "23:59:59.5",
        "instant": "2024-03-31T14:00:00+02:00",
        "uuid": "6f1c9f0e-5d0e-5a5b-9d55-7a0f6c0f2c11",
        "nested": {"a": Decimal("1.50"), "b": "ü"},
        "list": [1, None],
        "text": "\0 😀 'quoted' \"twice\" =1+1\r\n",
        "any": 12,
    }
    extracts.run([schema("all", properties), record("all", values), record("all", {"id": 5})])
    assert rows(extracts.path("all")) == [
        (
            -(2**63),
            False,
            date(1900, 1, 1),
            time(23, 59, 59, 500000),
            datetime(2024, 3, 31, 12, tzinfo=UTC),
            "6f1c9f0e-5d0e-5a5b-9d55-7a0f6c0f2c11",
            '{"a":1.50,"b":"ü"}',
            "[1,null]",
            "\0 😀 'quoted' \"twice\" =1+1\r\n",
            "12",
        ),
        (5, *[None] * 9),
    ]


HARD_NAMES = [
    'with "quote',
    "Ünï 日本 🚚",
    "select",
    "amount",
    "Amount",
    "AMOUNT",
    "a.b",
    "a b",
    "'",
    "%s",
    "c0",
    "seq",
    "deleted",
    "version",
    "k0",
    "x" * 200,
]


def test_names_are_kept_as_they_are(extracts: Extracts, rows: Rows) -> None:
    properties = {**ID, **dict.fromkeys(HARD_NAMES, NUMBER)}
    values = {name: Decimal(i) + Decimal("0.5") for i, name in enumerate(HARD_NAMES)}
    stream = 'General Journal.Entries / "x" 🚚'
    extracts.run([schema(stream, properties), record(stream, {"id": 1, **values})])
    extracts.run([schema(stream, properties), record(stream, {"id": 2, **values})])
    (path,) = extracts.directory.glob("*.hyper")
    assert path.name.startswith("General_Journal_Entries")
    assert rows(path) == [(1, *values.values()), (2, *values.values())]


@pytest.mark.parametrize("key", HARD_NAMES[:6])
def test_hard_names_work_as_keys(extracts: Extracts, rows: Rows, key: str) -> None:
    properties = {key: {"type": "string"}, "v": {"type": "integer"}}
    messages = [schema("s", properties, keys=[key]), record("s", {key: "a", "v": 1})]
    extracts.run(messages)
    extracts.run([messages[0], record("s", {key: "a", "v": 2})])
    assert rows(extracts.path("s")) == [("a", 2)]


def test_three_hundred_columns_work_twice(extracts: Extracts, rows: Rows) -> None:
    names = [f"column {i}" for i in range(320)]
    properties = {**ID, **dict.fromkeys(names, NUMBER)}
    values = {name: Decimal(i) / 4 for i, name in enumerate(names)}
    extracts.run([schema("wide", properties), record("wide", {"id": 1, **values})])
    changed = {**values, "column 319": Decimal("0.25")}
    extracts.run([schema("wide", properties), record("wide", {"id": 1, **changed})])
    assert rows(extracts.path("wide")) == [(1, *changed.values())]
    assert extracts.manifest("wide")["delta"]["updated"] == 1


def test_stream_name_of_two_letters_is_one_table(extracts: Extracts, rows: Rows) -> None:
    """pantab would read 'GL' as schema G, table L."""
    extracts.run([schema("GL", ID), record("GL", {"id": 1})])
    assert rows(extracts.path("GL")) == [(1,)]


def test_schema_that_grows_in_mid_stream_keeps_the_order_of_records(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run(
        [
            schema("s", {**ID, "v": {"type": "integer"}}),
            record("s", {"id": 1, "v": 1}),
            record("s", {"id": 2, "v": 2}),
            schema("s", {**ID, "v": NUMBER, "w": TEXT}),
            record("s", {"id": 1, "v": Decimal("1.5"), "w": "new"}),
            schema("s", {**ID, "v": NUMBER, "w": TEXT}),
            record("s", {"id": 3, "v": 3}),
        ]
    )
    assert rows(extracts.path("s")) == [
        (1, Decimal("1.5"), "new"),
        (2, Decimal(2), None),
        (3, Decimal(3), None),
    ]


def test_added_column_is_empty_in_older_rows(extracts: Extracts, rows: Rows) -> None:
    extracts.run([schema("s", ID), record("s", {"id": 1}), record("s", {"id": 2})])
    extracts.run([schema("s", {**ID, "v": TEXT}), record("s", {"id": 2, "v": "x"})])
    assert rows(extracts.path("s")) == [(1, None), (2, "x")]
    assert extracts.manifest("s")["delta"] == {
        "inserted": 0,
        "updated": 1,
        "deleted": 0,
        "replaced": False,
        "schema_changed": True,
    }


def test_column_that_is_no_longer_sent_keeps_its_values(extracts: Extracts, rows: Rows) -> None:
    both = {**ID, "a": TEXT, "b": TEXT}
    extracts.run([schema("s", both), record("s", {"id": 1, "a": "old", "b": "kept"})])
    extracts.run([schema("s", {**ID, "a": TEXT}), record("s", {"id": 1, "a": "new"})])
    assert rows(extracts.path("s")) == [(1, "new", "kept")]


@pytest.mark.parametrize(
    ("first", "then", "stored", "sql_type"),
    [
        pytest.param(
            ({"type": "number"}, Decimal("1.25")),
            ({"type": "number"}, Decimal("0.0000001")),
            [Decimal("1.25"), Decimal("0.0000001")],
            "NUMERIC(18,7)",
            id="more places",
        ),
        pytest.param(
            ({"type": "number"}, Decimal("1.25")),
            ({"type": "number"}, Decimal("12345678901234567.5")),
            [Decimal("1.25"), Decimal("12345678901234567.5")],
            "NUMERIC(38,2)",
            id="more digits",
        ),
        pytest.param(
            ({"type": "integer"}, 2**62),
            ({"type": "number"}, Decimal("0.5")),
            [Decimal(2**62), Decimal("0.5")],
            "NUMERIC(38,2)",
            id="integers become decimals",
        ),
        pytest.param(
            ({"type": "number"}, Decimal("1.25")),
            ({"type": "string"}, "n/a"),
            ["1.25", "n/a"],
            "TEXT",
            id="decimals become text",
        ),
        pytest.param(
            ({"type": "string"}, "n/a"),
            ({"type": "boolean"}, True),
            ["n/a", "true"],
            "TEXT",
            id="text takes flags",
        ),
    ],
)
def test_column_widens_without_loss(  # noqa: PLR0917 - a case has four parts
    extracts: Extracts,
    rows: Rows,
    first: tuple[dict[str, Any], object],
    then: tuple[dict[str, Any], object],
    stored: list[object],
    sql_type: str,
) -> None:
    extracts.run([schema("s", {**ID, "v": first[0]}), record("s", {"id": 1, "v": first[1]})])
    extracts.run([schema("s", {**ID, "v": then[0]}), record("s", {"id": 2, "v": then[1]})])
    assert rows(extracts.path("s")) == list(enumerate(stored, start=1))
    assert extracts.manifest("s")["columns"][1]["type"] == sql_type


@pytest.mark.parametrize(
    ("version", "byte"), [pytest.param(2, 2, id="2"), pytest.param(4, 4, id="4")]
)
def test_file_format_can_be_changed_later(
    extracts: Extracts, rows: Rows, version: int, byte: int
) -> None:
    messages = [schema("s", {**ID, "v": NUMBER}), record("s", {"id": 1, "v": Decimal("1.5")})]
    extracts.run(messages)
    assert extracts.path("s").read_bytes()[10] == 3
    extracts.run(messages, hyper_version=version)
    assert extracts.path("s").read_bytes()[10] == byte
    assert rows(extracts.path("s")) == [(1, Decimal("1.5"))]


def test_new_column_and_new_file_format_come_together(extracts: Extracts, rows: Rows) -> None:
    extracts.run([schema("s", ID), record("s", {"id": 1})])
    extracts.run(
        [schema("s", {**ID, "v": TEXT}), record("s", {"id": 2, "v": "x"})], hyper_version=2
    )
    assert rows(extracts.path("s")) == [(1, None), (2, "x")]
    assert extracts.manifest("s")["hyper_version"] == 2


@pytest.mark.parametrize(
    ("properties", "values", "said", "unsaid"),
    [
        pytest.param(
            {"v": {"type": "integer"}},
            {"id": 7, "v": 10**38, "secret": "s3cret"},
            "stream 's', column 'v', key {\"id\":7}: the column would need 39 digits",
            "1000000",
            id="integer beyond 38 digits",
        ),
        pytest.param(
            {"v": NUMBER},
            {"id": 7, "v": 10**40},
            "stream 's', column 'v', key {\"id\":7}",
            "1000000",
            id="decimal beyond 38 digits",
        ),
        pytest.param(
            {"v": {"type": ["string", "null"], "format": "date-time"}},
            {"id": 7, "v": "tomorrow"},
            "stream 's', column 'v', key {\"id\":7}: the text is no date-time",
            "tomorrow",
            id="unreadable instant",
        ),
    ],
)
def test_value_that_does_not_fit_names_stream_column_and_key_and_nothing_else(
    extracts: Extracts,
    properties: dict[str, Any],
    values: dict[str, Any],
    said: str,
    unsaid: str,
) -> None:
    messages = [
        schema("s", {**ID, **properties}),
        record("s", {"id": 6}),
        record("s", values),
        state({"a": 1}),
    ]
    with pytest.raises(DataError) as caught:
        extracts.run(messages)
    assert said in str(caught.value)
    assert unsaid not in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert not extracts.path("s").exists()
    assert extracts.left_over() == []


def test_amounts_too_wide_for_file_format_2_are_refused_by_key(extracts: Extracts) -> None:
    messages = [
        schema("s", {**ID, "v": NUMBER}),
        record("s", {"id": 1, "v": Decimal("0.123456")}),
        record("s", {"id": 2, "v": Decimal("1234567890123.1")}),
    ]
    with pytest.raises(DataError, match=r'column .v., key {"id":2}.*hyper_version'):
        extracts.run(messages, hyper_version=2)


def test_null_key_is_refused(extracts: Extracts) -> None:
    keyed = {"id": {"type": ["integer", "null"]}, "v": TEXT}
    with pytest.raises(DataError, match=r"column 'id'.*key property is null"):
        extracts.run([schema("s", keyed), record("s", {"id": None, "v": "x"})])


def test_two_streams_never_share_a_file(extracts: Extracts) -> None:
    names = {"a": {"file": "same"}, "b": {"file": "same.hyper"}}
    with pytest.raises(ConfigError, match=r"'a' and 'b' would both be stored in same\.hyper"):
        extracts.run([schema("a", ID), schema("b", ID)], datasources=names)


def test_two_streams_never_share_a_data_source(extracts: Extracts) -> None:
    names = {"a": {"name": "b"}}
    with pytest.raises(ConfigError, match="'a' and 'b' would both be published as 'b'"):
        extracts.run([schema("a", ID), schema("b", ID)], datasources=names)


def test_file_of_another_stream_is_not_taken_over(extracts: Extracts) -> None:
    extracts.run([schema("a", ID), record("a", {"id": 1})])
    with pytest.raises(ConfigError, match="holds stream 'a', not 'b'"):
        extracts.run([schema("b", ID)], datasources={"b": {"file": "a"}})


def test_titles_and_descriptions_of_the_schema_reach_the_manifest(extracts: Extracts) -> None:
    amount = {**NUMBER, "title": "Amount", "description": "Accounting currency"}
    extracts.run([schema("s", {**ID, "v": amount})])
    assert extracts.manifest("s")["columns"][1] == {
        "name": "v",
        "type": "NUMERIC(18,2)",
        "nullable": True,
        "title": "Amount",
        "description": "Accounting currency",
    }


def test_stream_without_columns_is_left_out(extracts: Extracts) -> None:
    assert extracts.run([schema("s", {}, keys=()), record("s", {}), state({"a": 1})]) == ['{"a":1}']
    assert not extracts.path("s").exists()


def test_stored_files_are_not_for_everybody(extracts: Extracts) -> None:
    extracts.run([schema("s", ID), record("s", {"id": 1})])
    path: Path = extracts.path("s")
    assert path.stat().st_mode & 0o777 == 0o640


def test_upserts_of_the_sdk_streams_meet_their_first_load(extracts: Extracts, rows: Rows) -> None:
    """Two files of the SDK that its own suite never runs one after the other."""
    for name in ("user_location_data", "user_location_upsert_data"):
        file = importlib.resources.files(target_test_streams) / f"{name}.singer"
        extracts.run(file.read_text(encoding="utf-8").splitlines())
    assert rows(extracts.path("test_users")) == [
        (1, "Johny"),
        (2, "George"),
        (3, "Jacob"),
        (4, "Josh"),
        (5, "Jim"),
        (8, "Thomas"),
        (12, "Paul"),
        (13, "Mary"),
    ]
    assert [row[0] for row in rows(extracts.path("test_user_in_location"))] == [1, 2, 3, 6, 14]
    assert rows(extracts.path("test_user_in_location"))[0][1:3] == (1, 4)
