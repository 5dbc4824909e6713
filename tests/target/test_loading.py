"""Load methods, deletions, full reads, and what counts as a change."""

from __future__ import annotations

import contextlib
import errno
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tableauhyperapi import (  # type: ignore[import-untyped, unused-ignore]
    HyperProcess,
    Telemetry,
)
from tests.target.messages import audit, record, schema, state

from pipeline_core.errors import ConfigError, DataError, TransientError
from target_tableau_hyper.extract.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.target.harness import Extracts, Rows

    from target_tableau_hyper.extract.engine import Database


PROPERTIES = {
    "id": {"type": "integer"},
    "v": {"type": ["null", "string"]},
    "n": {"type": ["null", "number"]},
}
SCHEMA = schema("s", PROPERTIES)
KEYLESS = schema("s", PROPERTIES, keys=())
GONE = "2024-05-01T00:00:00Z"


def row(number: int, v: str | None = None, **more: object) -> dict[str, Any]:
    return record("s", {"id": number, "v": v, "n": Decimal(number)}, **more)


def gone(number: int) -> dict[str, Any]:
    return record("s", {"id": number, "_sdc_deleted_at": GONE})


def activate(version: int) -> dict[str, Any]:
    return {"type": "ACTIVATE_VERSION", "stream": "s", "version": version}


def test_the_last_record_of_a_key_wins(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, row(1, "a"), row(2, "b"), row(1, "c")])
    extracts.run([SCHEMA, row(2, "d"), row(2, "e"), row(3, "f")])
    assert rows(extracts.path("s"), '"id", "v"') == [(1, "c"), (2, "e"), (3, "f")]
    delta = extracts.manifest("s")["delta"]
    assert (delta["inserted"], delta["updated"], delta["deleted"]) == (1, 1, 0)


def test_a_full_read_of_unchanged_rows_leaves_the_file_untouched(extracts: Extracts) -> None:
    messages = [SCHEMA, *(row(i, f"text {i}") for i in range(50)), state({"n": 1})]
    extracts.run(messages)
    before, seal = extracts.path("s").stat(), extracts.manifest("s")
    extracts.run(messages)
    after, again = extracts.path("s").stat(), extracts.manifest("s")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert again["sha256"] == seal["sha256"]
    assert again["run_id"] == seal["run_id"]
    assert again["checked_by"] != seal["checked_by"]


def test_a_run_without_records_leaves_the_file_untouched(extracts: Extracts) -> None:
    extracts.run([SCHEMA, row(1)])
    before = extracts.path("s").stat()
    assert extracts.run([SCHEMA, state({"n": 2})]) == ['{"n":2}']
    assert extracts.path("s").stat().st_ino == before.st_ino


def test_a_stream_without_records_becomes_an_empty_extract(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA])
    assert rows(extracts.path("s")) == []
    assert extracts.manifest("s")["rows"] == 0
    extracts.run([SCHEMA, row(1, "a")])
    assert rows(extracts.path("s"), '"v"') == [("a",)]


def test_deletion_removes_the_row(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, row(1), row(2), row(3)])
    extracts.run([SCHEMA, gone(2), gone(9), row(3, "x"), gone(3), row(3, "back")])
    assert rows(extracts.path("s"), '"id", "v"') == [(1, None), (3, "back")]
    assert extracts.manifest("s")["delta"]["deleted"] == 1


def test_soft_deletion_keeps_the_row_and_says_when(extracts: Extracts, rows: Rows) -> None:
    extracts.config["hard_delete"] = False
    extracts.run([SCHEMA, row(1, "a"), row(2, "b")])
    extracts.run([SCHEMA, gone(2)])
    when = datetime(2024, 5, 1, tzinfo=UTC)
    assert rows(extracts.path("s"), '"id", "v", "_sdc_deleted_at"') == [
        (1, "a", None),
        (2, "b", when),
    ]
    extracts.run([SCHEMA, row(2, "back")])
    assert rows(extracts.path("s"), '"id", "v", "_sdc_deleted_at"')[1] == (2, "back", None)


def test_every_row_may_be_deleted_and_come_back(extracts: Extracts, rows: Rows) -> None:
    """hyperd rewrites emptied tables on every open, so bytes alone cannot prove such a file."""
    extracts.run([SCHEMA, row(1), row(2)])
    extracts.run([SCHEMA, gone(1), gone(2)])
    assert rows(extracts.path("s")) == []
    extracts.run([SCHEMA, gone(1)])
    extracts.run([SCHEMA, row(1, "again")])
    assert rows(extracts.path("s"), '"id", "v"') == [(1, "again")]


def test_activate_version_after_the_records_removes_what_was_not_read(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run([SCHEMA, row(1), row(2), row(3)])
    extracts.run([SCHEMA, row(2, version=5), row(4, version=5), activate(5)])
    assert rows(extracts.path("s"), '"id"') == [(2,), (4,)]
    delta = extracts.manifest("s")["delta"]
    assert (delta["inserted"], delta["updated"], delta["deleted"]) == (1, 0, 2)


def test_activate_version_before_its_records_removes_nothing(
    extracts: Extracts, rows: Rows
) -> None:
    """SDK taps announce a version at the start; a tap that died then must not empty the table."""
    extracts.run([SCHEMA, row(1), row(2)])
    extracts.run([SCHEMA, activate(5), row(2, "x", version=5)])
    assert rows(extracts.path("s"), '"id"') == [(1,), (2,)]


def test_empty_activation_of_a_tap_that_proves_nothing_removes_nothing(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run([SCHEMA, row(1)])
    extracts.run([SCHEMA, activate(5)])
    assert rows(extracts.path("s"), '"id"') == [(1,)]


def test_empty_activation_of_a_complete_run_empties_the_table(
    extracts: Extracts, rows: Rows
) -> None:
    extracts.run([SCHEMA, row(1)])
    nothing = {"s": {"records": 0, "deletes": 0, "totals": {"n": "0"}}}
    extracts.run(
        [
            audit("r", {}, complete=False),
            SCHEMA,
            activate(5),
            audit("r", nothing, complete=True),
        ]
    )
    assert rows(extracts.path("s"), '"id"') == []


def test_activation_can_be_switched_off(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, row(1)])
    extracts.run([SCHEMA, row(2, version=5), activate(5)], process_activate_version_messages=False)
    assert rows(extracts.path("s"), '"id"') == [(1,), (2,)]


def test_rows_without_a_key_are_appended(extracts: Extracts, rows: Rows) -> None:
    extracts.run([KEYLESS, row(1), row(1)])
    extracts.run([KEYLESS, row(1)])
    assert rows(extracts.path("s"), '"id"') == [(1,), (1,), (1,)]


def test_activation_without_a_key_makes_the_version_the_table(
    extracts: Extracts, rows: Rows
) -> None:
    full = [KEYLESS, row(1, "a", version=5), row(1, "a", version=5), activate(5)]
    extracts.run([KEYLESS, row(9)])
    extracts.run(full)
    assert rows(extracts.path("s"), '"id", "v"') == [(1, "a"), (1, "a")]
    assert extracts.manifest("s")["delta"]["replaced"]
    before = extracts.path("s").stat()
    extracts.run(full)
    assert extracts.path("s").stat().st_ino == before.st_ino, "the same rows are no change"


def test_append_only_adds_every_record(extracts: Extracts, rows: Rows) -> None:
    extracts.config["load_method"] = "append-only"
    extracts.run([SCHEMA, row(1, "a"), row(1, "b"), gone(1)])
    extracts.run([SCHEMA, row(1, "a", version=5), activate(5)])
    assert sorted(rows(extracts.path("s"), '"id", "v"')) == [(1, "a"), (1, "a"), (1, "b")]


def test_append_only_shows_deletions_where_a_column_can(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, row(1), gone(1)], load_method="append-only", add_record_metadata=True)
    assert rows(extracts.path("s"), '"id", "n", "_sdc_deleted_at" IS NULL') == [
        (1, Decimal(1), True),
        (1, None, False),
    ]


def test_upsert_into_several_rows_of_one_key_is_refused(extracts: Extracts) -> None:
    extracts.run([SCHEMA, row(1), row(1)], load_method="append-only")
    with pytest.raises(ConfigError, match="several rows for 1 of its keys"):
        extracts.run([SCHEMA, row(1)])


@pytest.mark.parametrize("first", [SCHEMA, KEYLESS], ids=["keyed", "keyless"])
def test_overwrite_makes_the_run_the_table(
    extracts: Extracts, rows: Rows, first: dict[str, Any]
) -> None:
    extracts.config["load_method"] = "overwrite"
    extracts.run([first, row(1), row(2)])
    extracts.run([first, row(2), row(3)])
    assert rows(extracts.path("s"), '"id"') == [(2,), (3,)]
    before = extracts.path("s").stat()
    extracts.run([first, row(2), row(3)])
    assert extracts.path("s").stat().st_ino == before.st_ino, "the same rows are no change"


def test_overwrite_drops_columns_that_are_gone(extracts: Extracts, rows: Rows) -> None:
    extracts.config["load_method"] = "overwrite"
    extracts.run([SCHEMA, row(1)])
    extracts.run([schema("s", {"id": {"type": "integer"}}), record("s", {"id": 5})])
    assert rows(extracts.path("s")) == [(5,)]


def test_changed_key_without_values_in_older_rows_is_refused(extracts: Extracts) -> None:
    extracts.run([SCHEMA, row(1)])
    with pytest.raises(DataError, match="now keyed by 'v'"):
        extracts.run([schema("s", PROPERTIES, keys=["v"]), row(2, "a")])


def test_changed_key_with_values_in_all_rows_is_taken(extracts: Extracts, rows: Rows) -> None:
    extracts.run([SCHEMA, row(1, "a"), row(2, "b")])
    extracts.run([schema("s", PROPERTIES, keys=["v"]), row(3, "a")])
    assert rows(extracts.path("s"), '"id", "v"') == [(2, "b"), (3, "a")]


def test_record_metadata_does_not_make_a_row_look_changed(extracts: Extracts) -> None:
    extracts.config["add_record_metadata"] = True
    extracts.run([SCHEMA, row(1, "a", time_extracted="2024-01-01T00:00:00Z")])
    before = extracts.manifest("s")
    names = [column["name"] for column in before["columns"]]
    assert "_sdc_extracted_at" in names
    extracts.run([SCHEMA, row(1, "a", time_extracted="2024-02-02T00:00:00Z")])
    assert extracts.manifest("s")["sha256"] == before["sha256"]


def test_metadata_that_a_tap_declares_is_left_out_by_default(
    extracts: Extracts, rows: Rows
) -> None:
    declared = {**PROPERTIES, "_sdc_deleted_at": {"type": ["null", "string"]}}
    extracts.run([schema("s", declared), row(1), gone(2)])
    assert [c["name"] for c in extracts.manifest("s")["columns"]] == ["id", "v", "n"]
    assert rows(extracts.path("s"), '"id"') == [(1,)]


def test_stream_maps_give_the_same_rows_as_the_short_way(extracts: Extracts, rows: Rows) -> None:
    messages = [
        SCHEMA,
        row(1, "a", version=5),
        record("s", {"id": 2, "v": "b", "n": Decimal("0.1234567890123456")}, version=5),
        record("s", {"id": 3, "v": None, "n": Decimal("999999999999.99")}, version=5),
        gone(9),
        activate(5),
    ]
    extracts.run(messages)
    maps = {"s": {"__alias__": "mapped", "id": "id"}}
    extracts.run(messages, stream_maps=maps)
    assert rows(extracts.path("mapped")) == rows(extracts.path("s"))


def test_stream_maps_may_filter_and_add(extracts: Extracts, rows: Rows) -> None:
    maps = {"s": {"__filter__": "id > 1", "twice": "int(id * 2)", "v": None}}
    extracts.run([SCHEMA, row(1), row(2)], stream_maps=maps)
    columns = [c["name"] for c in extracts.manifest("s")["columns"]]
    assert columns == ["id", "n", "twice"]
    assert rows(extracts.path("s"), '"id", "twice"') == [(2, 4)]


def test_a_map_does_not_turn_a_deletion_into_a_row(extracts: Extracts, rows: Rows) -> None:
    maps = {"s": {"id": "id", "__else__": None}}
    extracts.run([SCHEMA, row(1), row(2)], stream_maps=maps)
    extracts.run([SCHEMA, gone(1)], stream_maps=maps)
    assert rows(extracts.path("s"), '"id"') == [(2,)]


def test_two_streams_of_one_name_are_refused(extracts: Extracts) -> None:
    other = schema("t", PROPERTIES)
    with pytest.raises(ConfigError, match="both 's' and 't' 's'"):
        extracts.run([SCHEMA, other], stream_maps={"t": {"__alias__": "s"}})


def test_flattening_is_kept(extracts: Extracts, rows: Rows) -> None:
    nested = {
        "id": {"type": "integer"},
        "a": {"type": "object", "properties": {"b": {"type": "number"}}},
    }
    extracts.run(
        [schema("s", nested), record("s", {"id": 1, "a": {"b": Decimal("1.5")}})],
        flattening_enabled=True,
        flattening_max_depth=2,
    )
    assert rows(extracts.path("s"), '"id", "a__b"') == [(1, Decimal("1.5"))]


def test_unknown_properties_are_told_and_not_stored(
    extracts: Extracts, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    extracts.run([SCHEMA, record("s", {"id": 1, "extra": "x"})])
    assert "no schema for extra" in caplog.text
    assert rows(extracts.path("s")) == [(1, None, None)]


def test_many_streams_share_one_memory_budget(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("target_tableau_hyper.extract.staging.CHUNK_ROWS", 7)
    names = ["a", "b", "c"]
    messages = [schema(name, PROPERTIES) for name in names]
    for number in range(100):
        messages += [record(name, {"id": number, "n": Decimal(number) / 8}) for name in names]
    extracts.run(messages)
    for name in names:
        assert rows(extracts.path(name), '"id", "n"') == [(i, Decimal(i) / 8) for i in range(100)]


@pytest.mark.parametrize("last", ["1.234567", "123456789012345.67", "12345678901234.567891"])
def test_a_later_chunk_may_need_more_digits(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    monkeypatch.setattr("target_tableau_hyper.extract.staging.CHUNK_ROWS", 2)
    values = [Decimal(text) for text in ("1.5", "2.25", "-0.01", "4", last, "6.5")]
    messages = [record("s", {"id": n, "n": value}) for n, value in enumerate(values)]
    extracts.run([schema("s", PROPERTIES), *messages])
    assert rows(extracts.path("s"), '"id", "n"') == list(enumerate(values))


def test_full_disk_ends_the_run_and_says_so(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run([SCHEMA, row(1)])
    before = extracts.path("s").read_bytes()

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_batch", refuse)
    with pytest.raises(TransientError, match=r"No space left on device.*check the disk"):
        extracts.run([SCHEMA, row(2), state({"a": 1})])
    assert extracts.path("s").read_bytes() == before
    assert extracts.left_over() == []
    monkeypatch.undo()


def test_death_of_hyperd_ends_the_run_and_says_so(
    extracts: Extracts, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracts.run([SCHEMA, row(1)])
    before = extracts.path("s").read_bytes()

    @contextlib.contextmanager
    def dying(*, hyper_version: int, **_: object) -> Iterator[Engine]:
        process = HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
            parameters={"log_config": "", "default_database_version": str(hyper_version)},
        )
        yield DyingEngine(process)

    class DyingEngine(Engine):
        """Its process ends as soon as a file is open."""

        def __init__(self, process: HyperProcess) -> None:
            super().__init__(process)
            self._mortal = process

        @contextlib.contextmanager
        def open(self, path: Path, *, create: bool = False) -> Iterator[Database]:
            with super().open(path, create=create) as database:
                self._mortal.close()
                yield database

    monkeypatch.setattr("target_tableau_hyper.loading.start_engine", dying)
    with pytest.raises(TransientError, match=r"hyperd failed on copy\.hyper"):
        extracts.run([SCHEMA, row(2), state({"a": 1})])
    assert extracts.path("s").read_bytes() == before
    assert extracts.left_over() == []
