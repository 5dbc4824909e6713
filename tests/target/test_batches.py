"""BATCH messages give the rows that RECORD messages would have given."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from singer_sdk.contrib.batch_encoder_jsonl import JSONLinesBatcher
from singer_sdk.contrib.batch_encoder_parquet import ParquetBatcher
from singer_sdk.helpers._batch import BatchConfig, StorageTarget
from tests.target.messages import dump, record, schema, state
from upath import UPath

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Extracts, Rows

PROPERTIES: dict[str, Any] = {
    "id": {"type": "integer"},
    "amount": {"type": ["null", "number"]},
    "day": {"type": ["null", "string"], "format": "date"},
    "moment": {"type": ["null", "string"], "format": "date-time"},
    "hour": {"type": ["null", "string"], "format": "time"},
    "done": {"type": ["null", "boolean"]},
    "text": {"type": ["null", "string"]},
    "inside": {"type": ["null", "object"]},
    "many": {"type": ["null", "array"]},
}
SCHEMA = schema("gl", PROPERTIES, keys=["id"])

ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "amount": Decimal("-0.05"),
        "day": "2024-02-29",
        "moment": "2024-02-29T23:30:00.123456+02:00",
        "hour": "23:59:59.5",
        "done": True,
        "text": 'quo"te, \U0001f4a1 and \x00',
        "inside": {"a": [1, {"b": None}], "c": Decimal("1.50")},
        "many": ["x", "y"],
    },
    dict.fromkeys(PROPERTIES) | {"id": 2},
    dict.fromkeys(PROPERTIES) | {"id": 3, "amount": Decimal("123456789012345678.90"), "text": ""},
]


def batch(*files: Path | str, form: str = "jsonl", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    encoding = {"format": form, "compression": more.pop("compression", "none")}
    urls = [str(file) if "://" in str(file) else f"file://{file}" for file in files]
    return {"type": "BATCH", "stream": "gl", "encoding": encoding, "manifest": urls, **more}


def jsonl(path: Path, rows: list[dict[str, Any]], *, packed: bool = True) -> Path:
    text = "".join(f"{dump(row)}\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def parquet(path: Path) -> Path:
    """The same rows in the types that a tap would take for them."""
    moments = [datetime(2024, 2, 29, 21, 30, 0, 123456, UTC), None, None]
    table = pa.table(
        {
            "id": pa.array([1, 2, 3], pa.int32()),
            "amount": pa.array([row["amount"] for row in ROWS], pa.decimal128(30, 2)),
            "day": pa.array([date(2024, 2, 29), None, None], pa.date32()),
            "moment": pa.array(moments, pa.timestamp("ns", "UTC")),
            "hour": pa.array([time(23, 59, 59, 500000), None, None], pa.time64("us")),
            "done": pa.array([True, None, None]),
            "text": pa.array([row["text"] for row in ROWS], pa.large_string()),
            "inside": pa.array([dump(ROWS[0]["inside"]), None, None]),
            "many": pa.array([["x", "y"], None, None], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, path)
    return path


@pytest.fixture
def expected(extracts: Extracts, rows: Rows) -> list[tuple[Any, ...]]:
    """What RECORD messages give."""
    extracts.run([SCHEMA, *(record("gl", row) for row in ROWS)], datasources={"gl": {"file": "x"}})
    return rows(extracts.path("x"))


def test_json_lines_packed_and_plain_in_several_files(
    extracts: Extracts, rows: Rows, tmp_path: Path, expected: list[tuple[Any, ...]]
) -> None:
    first = jsonl(tmp_path / "a b.json.gz", ROWS[:1])
    second = jsonl(tmp_path / "c.jsonl", ROWS[1:], packed=False)
    packed, plain = batch(first, compression="gzip"), batch(second)
    assert extracts.run([SCHEMA, packed, plain, state({"run": 1})]) == ['{"run":1}']
    assert rows(extracts.path("gl")) == expected
    assert first.exists()


#: The same properties, each by reference.
REFERRED = schema(
    "gl",
    {name: {"$ref": f"#/definitions/{name}"} for name in PROPERTIES},
    definitions=PROPERTIES,
)


@pytest.mark.parametrize("sent", [SCHEMA, REFERRED], ids=["written out", "by reference"])
def test_parquet(
    extracts: Extracts,
    rows: Rows,
    tmp_path: Path,
    expected: list[tuple[Any, ...]],
    sent: dict[str, Any],
) -> None:
    extracts.run([sent, batch(parquet(tmp_path / "x.parquet"), form="parquet")])
    assert rows(extracts.path("gl")) == expected


def test_batches_of_the_sdk_itself(extracts: Extracts, rows: Rows, tmp_path: Path) -> None:
    plain = [{"id": i, "text": f"t{i}", "done": bool(i % 2)} for i in range(25)]
    columns = {name: PROPERTIES[name] for name in ("id", "text", "done")}
    start = schema("gl", columns, keys=["id"])
    extracts.run([start, *(record("gl", row) for row in plain)], datasources={"gl": {"file": "x"}})
    for form, batcher in (("jsonl", JSONLinesBatcher), ("parquet", ParquetBatcher)):
        config = BatchConfig.from_dict(
            {
                "encoding": {"format": form, "compression": "gzip"},
                "storage": {"root": f"file://{tmp_path}/{form}"},
                "batch_size": 10,
            }
        )
        manifests = list(batcher("tap", "gl", config).get_batches(iter(plain)))
        messages = [batch(*files, form=form, compression="gzip") for files in manifests]
        assert len(messages) == 3
        extracts.run([start, *messages], datasources={"gl": {"file": form}})
        assert rows(extracts.path(form)) == rows(extracts.path("x"))


def test_a_file_system_of_any_kind(
    extracts: Extracts, rows: Rows, tmp_path: Path, expected: list[tuple[Any, ...]]
) -> None:
    memory = UPath("memory://batches/a.json.gz")
    memory.parent.mkdir(parents=True, exist_ok=True)
    memory.write_bytes(jsonl(tmp_path / "a", ROWS).read_bytes())
    extracts.run([SCHEMA, batch("memory://batches/a.json.gz", compression="gzip")])
    assert rows(extracts.path("gl")) == expected


def test_the_files_may_have_moved(
    extracts: Extracts, rows: Rows, tmp_path: Path, expected: list[tuple[Any, ...]]
) -> None:
    jsonl(tmp_path / "a.json.gz", ROWS)
    config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": f"file://{tmp_path}"},
    }
    messages = [SCHEMA, batch("/elsewhere/a.json.gz", compression="gzip")]
    extracts.run(messages, batch_config=config)
    assert rows(extracts.path("gl")) == expected
    assert StorageTarget.from_dict(config["storage"]).root == f"file://{tmp_path}"


def test_deletions_versions_and_figures_count_as_in_records(
    extracts: Extracts, rows: Rows, tmp_path: Path
) -> None:
    extracts.run([SCHEMA, *(record("gl", row) for row in ROWS)])
    table = pa.table(
        {
            "id": [1, 4],
            "amount": pa.array([None, Decimal("2.50")], pa.decimal128(38, 2)),
            "_sdc_deleted_at": pa.array([datetime(2024, 1, 1, tzinfo=UTC), None]),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    figures = {"records": 2, "deletes": 1, "totals": {"amount": "2.50", "id": "4"}}
    audit = {"run_id": "r", "complete": True, "streams": {"gl": figures}}
    change = batch(tmp_path / "x.parquet", form="parquet")
    extracts.run([SCHEMA, change, state({"audit": audit})])
    assert [row[0] for row in rows(extracts.path("gl"))] == [2, 3, 4]
    whole = batch(jsonl(tmp_path / "y", [{"id": 9}]), compression="gzip", version=7)
    activate = {"type": "ACTIVATE_VERSION", "stream": "gl", "version": 7}
    extracts.run([SCHEMA, whole, activate])
    assert [row[0] for row in rows(extracts.path("gl"))] == [9]


def test_maps_and_flattening_apply(extracts: Extracts, rows: Rows, tmp_path: Path) -> None:
    inside = {"type": "object", "properties": {"a": {"type": "integer"}}}
    start = schema("gl", {"id": {"type": "integer"}, "inside": inside}, keys=["id"])
    lines = [{"id": i, "inside": {"a": i * 2}} for i in range(3)]
    config = {
        "flattening_enabled": True,
        "flattening_max_depth": 1,
        "stream_maps": {"gl": {"twice": "int(id) * 2", "__filter__": "id > 0"}},
    }
    extracts.run([start, batch(jsonl(tmp_path / "x", lines), compression="gzip")], **config)
    first = rows(extracts.path("gl"), '"id", "twice", "inside__a"')
    extracts.run(
        [start, *(record("gl", line) for line in lines)],
        **config,
        datasources={"gl": {"file": "records"}},
    )
    assert first == rows(extracts.path("records"), '"id", "twice", "inside__a"')
    assert [tuple(map(int, row)) for row in first] == [(1, 2, 2), (2, 4, 4)]


def test_a_null_of_parquet_is_a_property_that_a_record_lacks(
    extracts: Extracts, rows: Rows, tmp_path: Path
) -> None:
    """Where the schema forbids null, a record could not have said it either."""
    start = schema("gl", {"id": {"type": "integer"}, "must": {"type": "string"}}, keys=["id"])
    extracts.run(
        [start, record("gl", {"id": 1, "must": "x"}), record("gl", {"id": 2})],
        datasources={"gl": {"file": "records"}},
    )
    pq.write_table(pa.table({"id": [1, 2], "must": ["x", None]}), tmp_path / "x.parquet")
    extracts.run([start, batch(tmp_path / "x.parquet", form="parquet")])
    assert rows(extracts.path("gl")) == rows(extracts.path("records"))
    required = schema("gl", {"id": {"type": "integer"}, "must": {"type": "string"}}, keys=["id"])
    required["schema"]["required"] = ["must"]
    with pytest.raises(DataError, match="required property 'must' is missing"):
        extracts.run([required, batch(tmp_path / "x.parquet", form="parquet")])


def test_types_of_parquet_that_other_writers_take(
    extracts: Extracts, rows: Rows, tmp_path: Path
) -> None:
    nanoseconds = pa.array([86_399_999_999_999, None], pa.time64("ns"))
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.uint64()),
            "hour": nanoseconds,
            "text": pa.array(["a", "a"]).dictionary_encode(),
            "inside": pa.array([{"a": 1}, None], pa.struct([("a", pa.int8())])),
            "amount": pa.array([Decimal("1.5"), None], pa.decimal128(38, 16)),
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")
    extracts.run([SCHEMA, batch(tmp_path / "x.parquet", form="parquet")])
    found = rows(extracts.path("gl"), '"id", "hour", "text", "inside", "amount"')
    assert [str(cell) for cell in found[0]] == ["1", "23:59:59.999999", "a", '{"a":1}', "1.50"]
    assert found[1] == (2, None, "a", None, None)


def test_a_packed_file_is_known_by_its_first_bytes(
    extracts: Extracts, rows: Rows, tmp_path: Path, expected: list[tuple[Any, ...]]
) -> None:
    """The SDK's encoder packs whatever its settings say, and announces what they say."""
    packed = jsonl(tmp_path / "a.json.gz", ROWS)
    extracts.run([SCHEMA, batch(packed, compression="none")])
    assert rows(extracts.path("gl")) == expected


def test_a_float_means_its_shortest_decimal(extracts: Extracts, rows: Rows, tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2], "amount": [0.1, 1e-7]}), tmp_path / "x.parquet")
    extracts.run([SCHEMA, batch(tmp_path / "x.parquet", form="parquet")])
    found = [row[0] for row in rows(extracts.path("gl"), '"amount"')]
    assert found == [Decimal("1E-7"), Decimal("0.1")]


def test_what_does_not_fit_is_told_with_its_key(extracts: Extracts, tmp_path: Path) -> None:
    bad = batch(jsonl(tmp_path / "x", [{"id": 5, "day": "soon"}]), compression="gzip")
    with pytest.raises(DataError, match=r"stream 'gl', column 'day', key \{\"id\":5\}"):
        extracts.run([SCHEMA, bad])
    keyless = batch(jsonl(tmp_path / "y", [{"day": "2024-01-01"}]), compression="gzip")
    with pytest.raises(DataError, match="lacks its key property 'id'"):
        extracts.run([SCHEMA, keyless])
    pq.write_table(pa.table({"id": pa.array([None], pa.int64())}), tmp_path / "z")
    with pytest.raises(DataError, match="lacks its key property 'id'"):
        extracts.run([SCHEMA, batch(tmp_path / "z", form="parquet")])
    pq.write_table(pa.table({"id": [1], "amount": [float("nan")]}), tmp_path / "n")
    with pytest.raises(DataError, match="NaN and infinity"):
        extracts.run([SCHEMA, batch(tmp_path / "n", form="parquet")])


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda _: None, "is not there"),
        (lambda content: content[: len(content) // 2], "was cut off"),
        (lambda content: b"<html>" + content, "is not what the message says"),
        (lambda _: gzip.compress(b"[1]\n"), "a line of it is no object|was cut off"),
    ],
)
def test_a_file_that_is_not_whole_stops_the_run(
    extracts: Extracts,
    tmp_path: Path,
    form: str,
    spoil: Any,  # noqa: ANN401
    message: str,
) -> None:
    path = tmp_path / "canary-in-a-name"
    whole = parquet(path) if form == "parquet" else jsonl(path, ROWS * 50)
    content = spoil(whole.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"stream 'gl': BATCH file file://.*({message})") as caught:
        extracts.run([SCHEMA, batch(path, form=form, compression="gzip"), state({"run": 1})])
    assert json.dumps(ROWS[0]["text"])[1:9] not in str(caught.value)
    assert extracts.said == ""
    assert not extracts.path("gl").exists()


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (batch("x", form="avro"), "in avro with none; this target takes"),
        (batch("x", compression="lzma"), "in jsonl with lzma"),
        ({"type": "BATCH", "stream": "gl"}, "a BATCH message lacks encoding, manifest"),
        (batch("x") | {"stream": "other"}, "'other' came before its SCHEMA"),
    ],
)
def test_a_message_that_cannot_be_followed(
    extracts: Extracts, message: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        extracts.run([SCHEMA, message])
