"""Whether a value of an extract is the one that the server sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger
from pipeline_ops.audit.choose import Runs
from pipeline_ops.audit.trace import agrees, shown, trace
from target_tableau_hyper.delivery.gather import manifest_path
from target_tableau_hyper.extract.combined import CombinedManifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("column", "value", "raw"),
    [
        pytest.param("AmountMST", Decimal("90000.000000"), "90000", id="zeros at the end"),
        pytest.param("AmountMST", Decimal("0.05"), "0.05", id="a fraction"),
        pytest.param("RecId", 5637144576, '"5637144576"', id="a long number as text"),
        pytest.param("AmountMST", Decimal("1.10"), '"1.10"', id="a decimal as text"),
        pytest.param("TransDate", date(2024, 3, 31), '"2024-03-31T12:00:00Z"', id="a date at noon"),
        pytest.param(
            "Changed",
            datetime(2024, 3, 31, 22, tzinfo=UTC),
            '"2024-04-01T00:00:00+02:00"',
            id="one instant in two zones",
        ),
        pytest.param("TransDate", None, '"1900-01-01T12:00:00Z"', id="no date"),
        pytest.param("Id", None, '"00000000-0000-0000-0000-000000000000"', id="no GUID"),
        pytest.param("Note", None, "null", id="null"),
        pytest.param("dataAreaId", "dat", '"DAT"', id="a company in capitals"),
        pytest.param("Note", "Z\u00fcrich", r'"Z\u00fcrich"', id="an escape"),
        pytest.param("Active", True, "true", id="a truth"),
    ],
)
def test_values_that_are_the_same(column: str, value: object, raw: str) -> None:
    assert agrees(column, value, raw)


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        pytest.param(Decimal("0.04"), "0.05", id="a cent"),
        pytest.param(Decimal("12345678901234567890.12"), "12345678901234567890.13", id="far right"),
        pytest.param(date(2024, 3, 30), '"2024-03-31T12:00:00Z"', id="the day before"),
        pytest.param(datetime(2024, 3, 31, tzinfo=UTC), '"soon"', id="no instant"),
        pytest.param("Usmf", '"usmf"', id="case of a text"),
        pytest.param(None, '"something"', id="lost"),
        pytest.param("something", "null", id="made up"),
        pytest.param(1, "true", id="a truth is no number"),
    ],
)
def test_values_that_are_not(value: object, raw: str) -> None:
    assert not agrees("Column", value, raw)


def test_values_are_shown_with_every_digit() -> None:
    assert shown(Decimal("1E+3")) == "1000"
    assert shown(datetime(2024, 3, 31, 22, tzinfo=UTC)) == "2024-03-31T22:00:00+00:00"
    assert shown(b"\x01\xff") == "01ff"
    assert shown(None) is None
    assert shown(date(2024, 3, 31)) == "2024-03-31"


def test_a_data_source_of_several_streams_asks_for_one_of_them(tmp_path: Path) -> None:
    tables = {name: {"rows": 1, "totals": {}, "sha256": "ab"} for name in ("Invoices", "Vendors")}
    CombinedManifest("Payables", "run-1", "2026-11-24", tables, "cd").write(
        manifest_path(tmp_path, "Payables")
    )
    with Ledger(tmp_path / "ledger.db", run_id="r", actor="test") as ledger:
        ask = partial(trace, Runs.of(ledger), output_dir=tmp_path, archive=None, key={"a": "b"})
        with pytest.raises(ConfigError, match="'Payables' is made of Invoices, Vendors; name the"):
            ask(datasource="Payables")
        with pytest.raises(ConfigError, match="holds no extract 'Receivables'"):
            ask(datasource="Receivables")
