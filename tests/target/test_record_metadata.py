"""``add_record_metadata``: where a row came from, and a hash that an auditor can compute again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import dump, record, schema

from target_tableau_hyper.extract.row_hash import canonical, row_hash

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
    "Text \U0001f4a1": {"type": ["null", "string"]},
}
SCHEMA = schema("gl", PROPERTIES, keys=["id"])
ROW: dict[str, Any] = {
    "id": 7,
    "amount": Decimal("-1234567890123.4500"),
    "day": "2024-02-29",
    "moment": "2024-03-01T00:30:00.5+02:00",
    "hour": "01:02:03",
    "done": False,
    "Text \U0001f4a1": 'quo"te\n',
}
OWN = ", ".join(f'"{name}"' for name in PROPERTIES)


def recomputed(names: list[str], values: tuple[Any, ...]) -> str:
    """By the documentation alone, from what another reader finds stored."""
    forms: dict[type, Any] = {
        int: str,
        Decimal: lambda v: f"{v.normalize():f}",
        bool: lambda v: v,
        str: lambda v: v,
        date: str,
        time: lambda v: v.strftime("%H:%M:%S.%f"),
        datetime: lambda v: v.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    pairs = sorted(
        (n, forms[type(v)](v)) for n, v in zip(names, values, strict=True) if v is not None
    )
    text = json.dumps([list(pair) for pair in pairs], ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_the_hash_is_what_the_stored_values_give(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MELTANO_RUN_ID", "run-1")
    extracts.run([SCHEMA, record("gl", ROW), record("gl", {"id": 8})], add_record_metadata=True)
    names = '"_audit_row_hash", "_audit_run_id", "_audit_source", "_audit_loaded_at"'
    for found in rows(extracts.path("gl"), f"{OWN}, {names}"):
        own, (digest, run_id, source, loaded_at) = found[:-4], found[-4:]
        assert digest == recomputed(list(PROPERTIES), own)
        assert run_id == "run-1"
        assert source == f"line {own[0] - 5}"
        assert (datetime.now(UTC) - loaded_at).total_seconds() < 60


def test_files_and_messages_give_one_hash_whatever_the_order_of_columns(
    extracts: Extracts, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "x.jsonl").write_text(dump(dict(reversed(ROW.items()))))
    batch = {
        "type": "BATCH",
        "stream": "gl",
        "encoding": {"format": "jsonl", "compression": "none"},
        "manifest": [f"file://{tmp_path}/x.jsonl"],
    }
    turned = schema("gl", dict(reversed(PROPERTIES.items())), keys=["id"])
    found = []
    for name, messages in (("a", [SCHEMA, record("gl", ROW)]), ("b", [turned, batch])):
        config = {"datasources": {"gl": {"file": name}}, "add_record_metadata": True}
        extracts.run(messages, **config)
        found += rows(extracts.path(name), '"_audit_row_hash", "_audit_source"')
    assert found[0][0] == found[1][0]
    assert [source for _, source in found] == ["line 2", "x.jsonl"]


def test_a_row_that_did_not_change_keeps_the_metadata_of_its_last_change(
    extracts: Extracts, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run_id, amount in (("one", "1"), ("two", "1.00"), ("three", "2")):
        monkeypatch.setenv("MELTANO_RUN_ID", run_id)
        extracts.run(
            [SCHEMA, record("gl", {"id": 1, "amount": Decimal(amount)})], add_record_metadata=True
        )
        expected = "three" if run_id == "three" else "one"
        assert rows(extracts.path("gl"), '"_audit_run_id"') == [(expected,)]


def test_a_column_that_is_added_changes_no_hash() -> None:
    assert row_hash(["a"], [1]) == row_hash(["a", "b"], [1, None])
    assert row_hash(["a"], [1]) != row_hash(["b"], [1])


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (Decimal("0.00"), "0"),
        (Decimal("-0.050"), "-0.05"),
        (Decimal(100), "100"),
        (Decimal("1E+3"), "1000"),
        (10**20, "100000000000000000000"),
        ("0.10", "0.10"),
        (True, True),
    ],
)
def test_the_form_of_a_value(value: object, form: object) -> None:
    assert canonical(value) == form
