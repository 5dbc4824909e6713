"""BATCH mode: the rows, keys and types of RECORD mode, in files that SDK targets take."""

from __future__ import annotations

import csv
import errno
import gzip
import importlib.util
import io
import json
import re
import shutil
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from singer_sdk import BatchSink, Target
from singer_sdk.helpers._batch import StorageTarget
from tests.tap.conftest import Output, settings_for
from upath import UPath

from pipeline_core.errors import ConfigError, DataError, TransientError
from tap_d365fo.audit import RunAudit
from tap_d365fo.batch import BatchWriter, FullReads, batch_config
from tap_d365fo.parquet import parquet_bytes
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

TARGET_CSV = "meltanolabs-target-csv==0.5.0"

TRANSACTIONS = "VendTransBiEntities"
RATES = "ExchangeRates"


def batches(root: Path, form: str = "parquet", **more: object) -> dict[str, Any]:
    """A ``batch_config`` for files below ``root``."""
    return {"encoding": {"format": form}, "storage": {"root": str(root)}, **more}


def files_of(output: Output, stream: str) -> list[Path]:
    manifests = [message["manifest"] for message in output.of("BATCH", stream)]
    return [Path(url.removeprefix("file://")) for (url,) in manifests]


def rows_of(output: Output, stream: str) -> list[dict[str, Any]]:
    """Rows of all files as an SDK target reads them."""
    rows: list[dict[str, Any]] = []
    for path in files_of(output, stream):
        if path.suffix == ".parquet":
            rows += pq.read_table(path).to_pylist()
        else:
            lines = gzip.decompress(path.read_bytes()).splitlines()
            rows += [json.loads(line, parse_float=Decimal) for line in lines]
    return rows


def as_parsed(output: Output, stream: str) -> list[dict[str, Any]]:
    """Records with dates as an SDK target makes them of RECORD messages."""
    (schema,) = output.of("SCHEMA", stream)
    formats = {n: p.get("format") for n, p in schema["schema"]["properties"].items()}
    parse = {"date": date.fromisoformat, "date-time": datetime.fromisoformat}
    return [
        {
            name: parse[formats[name]](value) if value and formats[name] in parse else value
            for name, value in record.items()
        }
        for record in output.records(stream)
    ]


@pytest.fixture
def config(contoso: Contoso) -> dict[str, Any]:
    return settings_for(contoso, entities=[TRANSACTIONS, RATES], batch_full_reads="batches")


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_both_modes_give_the_same_rows(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path, form: str
) -> None:
    plain = run_tap(config)
    output = run_tap({**config, "batch_config": batches(tmp_path, form)})
    assert not output.of("RECORD")
    for stream in (TRANSACTIONS, RATES):
        expected = as_parsed(plain, stream) if form == "parquet" else plain.records(stream)
        rows = rows_of(output, stream)
        assert rows == expected
        assert [list(row) for row in rows] == [list(record) for record in expected]
        assert not any(isinstance(value, float) for row in rows for value in row.values())
        assert output.of("SCHEMA", stream) == plain.of("SCHEMA", stream)
    rates = [row["Rate"] for row in rows_of(output, RATES)]
    assert any(rate != round(rate, 6) for rate in rates)


def without_clock(bookmarks: Any) -> str:  # noqa: ANN401
    """As text, without the time at which each run began."""
    return re.sub(r'"begun": "[^"]*"', "", json.dumps(bookmarks))


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_both_modes_give_the_same_figures_and_bookmarks(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path, form: str
) -> None:
    plain = run_tap(config)
    output = run_tap({**config, "batch_config": batches(tmp_path, form)})
    assert len(output.states) == len(plain.states)
    for state, expected in zip(output.states, plain.states, strict=True):
        assert {**state["audit"], "run_id": ""} == {**expected["audit"], "run_id": ""}
        assert without_clock(state["bookmarks"]) == without_clock(expected["bookmarks"])
    assert output.states[-1]["audit"]["complete"] is True
    totals = output.states[-1]["audit"]["streams"][TRANSACTIONS]["totals"]
    amounts = [row["AmountMST"] for row in rows_of(output, TRANSACTIONS)]
    assert Decimal(totals["AmountMST"]) == sum(amounts)


def test_a_state_covers_only_rows_whose_files_were_named(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap({**config, "batch_config": batches(tmp_path)})
    rows = 0
    for message in output.messages:
        if message["type"] == "BATCH" and message["stream"] == TRANSACTIONS:
            (url,) = message["manifest"]
            rows += pq.read_metadata(url.removeprefix("file://")).num_rows
        elif message["type"] == "STATE":
            figures = message["value"]["audit"]["streams"].get(TRANSACTIONS, {"records": 0})
            assert figures["records"] == rows
    assert rows > 250


def test_the_size_of_a_batch_is_kept(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    plain = run_tap(config)
    output = run_tap({**config, "batch_config": batches(tmp_path, batch_size=40)})
    sizes = [pq.read_metadata(path).num_rows for path in files_of(output, TRANSACTIONS)]
    assert max(sizes) == 40
    assert sum(sizes) == len(plain.records(TRANSACTIONS))


def test_deselected_columns_do_not_travel(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    catalog = TapD365FO(config=config).catalog_dict
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            if entry["breadcrumb"] in (["properties", "Txt"], ["properties", "EndDate"]):
                entry["metadata"]["selected"] = False
    plain = run_tap(config, catalog=catalog)
    output = run_tap({**config, "batch_config": batches(tmp_path)}, catalog=catalog)
    assert rows_of(output, RATES) == as_parsed(plain, RATES)
    for path in files_of(output, TRANSACTIONS):
        assert "Txt" not in pq.read_schema(path).names
    for path in files_of(output, RATES):
        assert "EndDate" not in pq.read_schema(path).names


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_stream_maps_apply(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path, form: str
) -> None:
    config = {
        **config,
        "stream_maps": {
            TRANSACTIONS: {
                "__alias__": "payables",
                "__filter__": "dataAreaId == 'usmf'",
                "doubled": "float(AmountMST) * 2",
                "Txt": None,
            },
            RATES: None,
        },
    }
    plain = run_tap(config)
    output = run_tap({**config, "batch_config": batches(tmp_path, form)})
    rows = rows_of(output, "payables")
    expected = as_parsed(plain, "payables") if form == "parquet" else plain.records("payables")
    assert rows == expected
    assert {row["dataAreaId"] for row in rows} == {"usmf"}
    assert "Txt" not in rows[0]
    assert {m["stream"] for m in output.of("BATCH")} == {"payables"}
    figures = [o.states[-1]["audit"]["streams"] for o in (plain, output)]
    assert figures[0] == figures[1]


def test_whole_readings_keep_to_records_unless_told(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    """A BATCH cannot tell a target what is gone."""
    del config["batch_full_reads"]
    plain = run_tap(config)
    first = run_tap({**config, "batch_config": batches(tmp_path)})
    assert not first.of("BATCH")
    assert first.counts == plain.counts
    assert len(first.of("ACTIVATE_VERSION")) == 2
    second = run_tap({**config, "batch_config": batches(tmp_path)}, state=first.states[-1])
    assert {m["stream"] for m in second.of("BATCH")} == {TRANSACTIONS}
    assert {m["stream"] for m in second.of("RECORD")} == {RATES}
    changes = run_tap(config, state=first.states[-1])
    assert rows_of(second, TRANSACTIONS) == as_parsed(changes, TRANSACTIONS)


def test_whole_readings_in_files_say_nothing_of_versions(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    output = run_tap({**config, "batch_config": batches(tmp_path)})
    assert not output.of("ACTIVATE_VERSION")
    assert not any("version" in message for message in output.of("BATCH"))


def test_a_target_that_knows_versions_gets_them(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    config["batch_full_reads"] = "versioned_batches"
    output = run_tap({**config, "batch_config": batches(tmp_path)})
    activated = {m["stream"]: m["version"] for m in output.of("ACTIVATE_VERSION")}
    assert activated.keys() == {TRANSACTIONS, RATES}
    for stream, version in activated.items():
        assert {m["version"] for m in output.of("BATCH", stream)} == {version}


def test_a_recorded_run_may_be_replayed_into_files(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    config["archive_path"] = str(tmp_path / "archive")
    plain = run_tap(config)
    config["replay_run_id"] = plain.states[-1]["audit"]["run_id"]
    output = run_tap({**config, "batch_config": batches(tmp_path / "files")})
    for stream in (TRANSACTIONS, RATES):
        assert rows_of(output, stream) == as_parsed(plain, stream)


@pytest.mark.parametrize("policy", list(FullReads))
def test_changes_need_no_version(policy: FullReads) -> None:
    files = batch_config({"batch_config": batches(Path("/x"))})
    assert policy.applied(files, None) == (files, None)
    assert policy.applied(None, 7) == (None, 7)


def test_a_connection_test_still_sends_a_record(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    TapD365FO(config={**config, "batch_config": batches(tmp_path)}).run_connection_test()
    output = Output(capsys.readouterr().out)
    assert output.counts == {TRANSACTIONS: 1, RATES: 1}
    assert list(tmp_path.iterdir()) == []


# --- what the SDK's own targets make of it


class CapturingSink(BatchSink):
    """Keeps what the SDK hands to ``process_batch``."""

    taken: ClassVar[dict[str, list[dict[str, Any]]]] = {}

    def process_batch(self, context: dict[str, Any]) -> None:
        """Keep the records."""
        self.taken.setdefault(self.stream_name, []).extend(context["records"])


class CapturingTarget(Target):
    """An SDK target as its cookiecutter makes it."""

    name = "target-capturing"
    config_jsonschema: ClassVar[dict[str, Any]] = {"properties": {}}
    default_sink_class = CapturingSink


def taken_by_a_target(output: Output) -> dict[str, list[dict[str, Any]]]:
    """What arrives in the sinks of an SDK target."""
    CapturingSink.taken = {}
    CapturingTarget(config={}).listen(io.StringIO(text_of(output)))
    return CapturingSink.taken


def text_of(output: Output) -> str:
    encode = msgspec.json.Encoder(decimal_format="number").encode
    return "".join(encode(message).decode() + "\n" for message in output.messages)


def test_the_sinks_of_an_sdk_target_see_the_same_in_both_modes(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    by_records = taken_by_a_target(run_tap(config))
    by_files = taken_by_a_target(run_tap({**config, "batch_config": batches(tmp_path)}))
    assert by_records.keys() == by_files.keys() == {TRANSACTIONS, RATES}
    for stream, rows in by_records.items():
        dates = [v for row in rows for v in row.values() if isinstance(v, date)]
        assert dates
        assert by_files[stream] == rows
        assert [
            str(v) for row in by_files[stream] for v in row.values() if isinstance(v, date)
        ] == [str(v) for v in dates]


def test_the_sinks_of_an_sdk_target_take_jsonl(
    config: dict[str, Any], run_tap: RunTap, tmp_path: Path
) -> None:
    """Dates stay text: JSON has none, and the SDK parses them in RECORD messages only."""
    plain = run_tap(config)
    told = batches(tmp_path, "jsonl")
    told["encoding"]["compression"] = "none"  # the SDK writes gzip all the same, so does the tap
    taken = taken_by_a_target(run_tap({**config, "batch_config": told}))
    assert taken == {stream: plain.records(stream) for stream in (TRANSACTIONS, RATES)}


@pytest.fixture(scope="module")
def target_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unmodified target in an environment of its own."""
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    environment = tmp_path_factory.mktemp("target-csv")
    subprocess.run([uv, "venv", "--quiet", "--clear", environment], check=True)
    python = environment / "bin" / "python"
    wanted = [TARGET_CSV, "pyarrow"]
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *wanted], check=True)
    return environment / "bin" / "target-csv"


def written_by(target_csv: Path, output: Output, directory: Path) -> list[dict[str, str]]:
    """The CSV that the target makes of a run with one stream."""
    directory.mkdir()
    (directory / "config.json").write_text("{}")
    subprocess.run(
        [target_csv, "--config", "config.json"],
        cwd=directory,
        input=text_of(output).encode(),
        check=True,
        capture_output=True,
    )
    (file,) = directory.glob("*.csv")
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_target_of_others_stores_the_same_from_both_modes(
    contoso: Contoso, run_tap: RunTap, target_csv: Path, tmp_path: Path
) -> None:
    """One company, one page: the target writes its file anew for each BATCH."""
    config = settings_for(
        contoso, entities=[TRANSACTIONS], companies=["2"], batch_full_reads="batches"
    )
    plain = run_tap(config)
    output = run_tap({**config, "batch_config": batches(tmp_path / "files")})
    assert len(output.of("BATCH")) == 1
    by_records = written_by(target_csv, plain, tmp_path / "records")
    by_files = written_by(target_csv, output, tmp_path / "batches")
    amounts = {"AmountCur", "AmountMST"}
    assert len(by_records) > 5
    assert amounts <= by_records[0].keys()
    decimals = set(plain.states[-1]["audit"]["streams"][TRANSACTIONS]["totals"])
    for row, expected in zip(by_files, by_records, strict=True):
        for name, value in expected.items():
            if name in decimals and value:  # 12.5 may come as 12.50
                assert Decimal(row[name]) == Decimal(value), name
            else:
                assert row[name] == value, name


# --- one writer


SCHEMA: dict[str, Any] = {
    "properties": {
        "key": {"type": "string"},
        "amount": {"type": ["number", "null"]},
        "count": {"type": ["integer", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "day": {"type": ["string", "null"], "format": "date"},
        "instant": {"type": ["string", "null"], "format": "date-time"},
        "lines": {
            "type": ["array", "null"],
            "items": {
                "type": ["object", "null"],
                "properties": {
                    "price": {"type": ["number", "null"]},
                    "on": {"type": ["string", "null"], "format": "date"},
                },
            },
        },
        "free": {"type": ["object", "null"]},
    }
}


def table(*records: dict[str, Any]) -> list[dict[str, Any]]:
    content = parquet_bytes("s", SCHEMA, ("key",), records, compression="none")
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def _fits(number: Decimal) -> bool:
    """30 digits before and 46 after the point at most: together what Parquet's decimals hold."""
    return number.adjusted() < 30 and int(number.as_tuple().exponent) >= -46


decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None).filter(_fits)


@example([Decimal("2.889999999999977438785864E-21"), Decimal(0), None])
@given(st.lists(st.one_of(decimals, st.integers(1 - 10**30, 10**30 - 1), st.none()), min_size=1))
def test_every_digit_of_a_decimal_arrives(values: list[Decimal | int | None]) -> None:
    rows = table(*({"key": str(n), "amount": value} for n, value in enumerate(values)))
    assert [row["amount"] for row in rows] == values


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(["1", "0.05", "-12345.67"], "decimal128(38, 2)", id="money"),
        pytest.param(["1.5", "0.000001"], "decimal128(38, 6)", id="six"),
        pytest.param(["94.8225611234567891"], "decimal128(38, 16)", id="sixteen"),
        pytest.param(["0.1234567890123456789"], "decimal128(38, 19)", id="more than F&O has"),
        pytest.param(
            ["9.9999999999999999990E-20"], "decimal256(76, 39)", id="all behind the point"
        ),
        pytest.param(["1" * 60 + ".5"], "decimal256(76, 1)", id="very long"),
    ],
)
def test_decimal_columns_have_few_types(values: list[str], kind: str) -> None:
    records = [{"key": v, "amount": Decimal(v)} for v in values]
    content = parquet_bytes("s", SCHEMA, ("key",), records, compression="gzip")
    read = pq.read_table(io.BytesIO(content))
    assert str(read.schema.field("amount").type) == kind
    assert read.column("amount").to_pylist() == [Decimal(v) for v in values]


@pytest.mark.parametrize("value", [0.5, 0.1, 1e-7])
def test_a_computed_float_travels_with_the_digits_of_record_mode(value: float) -> None:
    (row,) = table({"key": "a", "amount": value})
    assert row["amount"] == Decimal(repr(value))


def test_objects_inside_of_a_record_keep_their_shape() -> None:
    """Dates in them stay text: the SDK parses those of the record itself."""
    records: list[dict[str, Any]] = [
        {"key": "a", "lines": [{"price": Decimal("1.5"), "on": "2026-01-31"}, None]},
        {"key": "b", "lines": []},
        {"key": "c", "lines": None},
        {"key": "d", "lines": [{"price": 2, "on": None}]},
    ]
    assert table(*records) == records


def test_a_deletion_lies_beside_whole_rows() -> None:
    """It has its key and its mark; ``_sdc_deleted_at`` stands in no schema."""
    rows = table(
        {"key": "a", "amount": 1},
        {"key": "b", "_sdc_deleted_at": "2026-11-24T07:00:00Z"},
    )
    assert [row["amount"] for row in rows] == [1, None]
    deleted = [row["_sdc_deleted_at"] for row in rows]
    assert deleted == [None, datetime.fromisoformat("2026-11-24T07:00:00+00:00")]


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        pytest.param("amount", Decimal("1" * 61 + "." + "1" * 16), "77 digits", id="77 digits"),
        pytest.param("amount", Decimal("NaN"), "another", id="no number"),
        pytest.param("amount", True, "another", id="true as a number"),
        pytest.param("amount", "1.5", "does not fit", id="text as a number"),
        pytest.param("count", 2.5, "another", id="a fraction as an integer"),
        pytest.param("count", True, "another", id="true as an integer"),
        pytest.param("count", 2**63, "does not fit", id="an integer of 65 bits"),
        pytest.param("flag", 1, "does not fit", id="one as true"),
        pytest.param("key", 1, "does not fit", id="a number as text"),
        pytest.param("key", "\ud800", "does not fit", id="half a character"),
        pytest.param("day", "2026-02-30", "does not fit", id="no day"),
        pytest.param("day", "2026-01-31T10:00:00Z", "does not fit", id="a day with a time"),
        pytest.param("instant", "2026-01-31T10:00:00", "does not fit", id="no zone"),
        pytest.param("instant", "2026-01-31T10:00:00.1234567Z", "does not fit", id="100 ns"),
        pytest.param("lines", [{"prize": 1}], "no schema", id="an unknown property inside"),
        pytest.param("free", {"a": 1}, "unknown properties", id="an object without a schema"),
        pytest.param("other", 1, "has no schema", id="an unknown property"),
    ],
)
def test_what_does_not_fit_is_named(column: str, value: object, says: str) -> None:
    record = {"key": "a", column: value}
    with pytest.raises(DataError, match=f"stream s: column {column} .*{says}") as failed:
        table(record)
    for text in ("2026-", "1.5", "2.5", "NaN"):
        assert text not in str(failed.value)


@pytest.mark.parametrize("record", [{"key": None, "count": 1}, {"count": 1}])
def test_a_row_without_its_key_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="lacks its key key"):
        table(record)


def writer(config: dict[str, Any], stream: str = "s", run_id: str = "run") -> BatchWriter:
    files = batch_config({"batch_config": config})
    assert files is not None
    audit = RunAudit(run_id)
    audit.announce(stream, SCHEMA)
    return BatchWriter(files, stream, SCHEMA, ("key",), audit)


def urls(writer: BatchWriter, records: Sequence[dict[str, Any]]) -> list[str]:
    return [url for message in writer.write(records) for url in message.manifest]


def test_no_records_no_file(tmp_path: Path) -> None:
    assert urls(writer(batches(tmp_path)), []) == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    (url,) = urls(writer(batches(tmp_path / "made")), [{"key": "a"}])
    assert Path(url.removeprefix("file://")).stat().st_mode & 0o777 == 0o600


def test_a_prefix_may_name_a_directory(tmp_path: Path) -> None:
    config = batches(tmp_path)
    config["storage"]["prefix"] = "d365/night-"
    (url,) = urls(writer(config), [{"key": "a"}])
    assert url.startswith(f"file://{tmp_path}/d365/night-s--run--")


def test_an_alias_does_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    (url,) = urls(writer(batches(tmp_path / "in"), "../../x", "../run"), [{"key": "a"}])
    (file,) = (tmp_path / "in").iterdir()
    assert url == f"file://{file}"


def test_two_runs_with_one_id_do_not_meet(tmp_path: Path) -> None:
    both = [urls(writer(batches(tmp_path)), [{"key": "a"}]) for _ in range(2)]
    assert both[0] != both[1]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_directory_with_a_blank_is_found_by_sdk_targets(tmp_path: Path) -> None:
    (url,) = urls(writer(batches(tmp_path / "my files")), [{"key": "a"}])
    head, tail = StorageTarget.split_url(url)
    with StorageTarget.from_url(head).open(tail) as file:
        assert pq.read_table(file).num_rows == 1


def test_any_storage_of_fsspec_will_do() -> None:
    config = batches(Path("x"))
    config["storage"]["root"] = "memory://batches"
    (url,) = urls(writer(config), [{"key": "a"}])
    assert url.startswith("memory://batches/s--run--")
    with UPath(url).open("rb") as file:
        assert pq.read_table(file).num_rows == 1


def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = writer(batches(tmp_path))

    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(TransientError, match="No space left"):
        full.write([{"key": "a"}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"encoding": {"format": "jsonl"}}, "storage.root", id="no storage"),
        pytest.param({"storage": {"root": "/x"}}, "encoding.format", id="no format"),
        pytest.param(
            {"encoding": {"format": "avro"}, "storage": {"root": "/x"}},
            "parquet",
            id="other format",
        ),
        pytest.param(batches(Path("/x"), batch_size=-1), "batch_size", id="size"),
        pytest.param(batches(Path("/x"), batch_size="9"), "batch_size", id="size as text"),
    ],
)
def test_half_a_setting_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        batch_config({"batch_config": given})


def test_without_pyarrow_the_setting_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "pyarrow" else real(name)
    )
    with pytest.raises(ConfigError, match=r"install tap-d365fo\[parquet\]"):
        batch_config({"batch_config": batches(Path("/x"))})
    assert batch_config({"batch_config": batches(Path("/x"), "jsonl")}) is not None


def test_jsonl_needs_no_pyarrow(tmp_path: Path) -> None:
    """In a process of its own, where importing it fails."""
    script = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from tap_d365fo.audit import RunAudit\n"
        "from tap_d365fo.batch import BatchWriter, batch_config\n"
        f"config = batch_config({{'batch_config': {batches(tmp_path, 'jsonl')!r}}})\n"
        "audit = RunAudit('run'); audit.announce('s', {})\n"
        "BatchWriter(config, 's', {}, (), audit).write([{'a': 1}])\n"
        "import tap_d365fo.tap\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    (file,) = tmp_path.iterdir()
    assert gzip.decompress(file.read_bytes()) == b'{"a":1}\n'
