"""Records that are written together: the same bytes and figures as one by one."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk import singerlib as singer

from pipeline_core.errors import DataError
from tap_d365fo.audit import DELETED_AT, RunAudit
from tap_d365fo.writer import AuditingWriter

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA = {
    "properties": {
        "id": {"type": ["integer", "null"]},
        "amount": {"type": ["number", "null"]},
        "rate": {"type": "number"},
    }
}

amounts = (
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
    | st.integers(-(10**20), 10**20)
    | st.floats(-1e9, 1e9)
    | st.none()
)
records = st.fixed_dictionaries(
    {"id": st.integers() | st.none()},
    optional={
        "amount": amounts,
        "rate": amounts,
        "text": st.text(max_size=8),
        'odd "record":{} name': st.none() | st.dictionaries(st.text(max_size=3), st.booleans()),
        DELETED_AT: st.none() | st.just("2026-03-31T00:00:00+00:00"),
    },
)


def written(
    stream: str, write: Callable[[AuditingWriter], None]
) -> tuple[bytes | None, dict[str, Any]]:
    """What goes out, and the figures; no bytes where the records are refused."""
    audit = RunAudit("run")
    writer = AuditingWriter(audit)
    out = io.TextIOWrapper(io.BytesIO())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        writer.write_message(singer.SchemaMessage(stream, SCHEMA))
        try:
            write(writer)
        except DataError:
            return None, audit.snapshot()
        out.flush()
    return out.buffer.getvalue(), audit.snapshot()


@given(
    st.lists(records, max_size=5),
    st.none() | st.integers(0, 2**53),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["VendorsV2", 'a "record":{} of'])
)  # fmt: skip
def test_together_or_one_by_one(
    rows: list[dict[str, Any]], version: int | None, moment: datetime | None, stream: str
) -> None:
    def singly(writer: AuditingWriter) -> None:
        for row in rows:
            writer.write_message(singer.RecordMessage(stream, row, version, moment))

    def together(writer: AuditingWriter) -> None:
        writer.write_records(stream, rows, version=version, time_extracted=moment)

    lines, figures = written(stream, singly)
    if lines is None:  # what was written before the record that was refused differs
        assert written(stream, together)[0] is None
    else:
        assert written(stream, together) == (lines, figures)


def test_of_records_that_cannot_be_counted_none_is_written() -> None:
    rows = [{"id": 1, "amount": Decimal("1.50")}, {"id": 2, "amount": "one"}]

    def together(writer: AuditingWriter) -> None:
        writer.write_records("s", rows, version=None, time_extracted=None)

    lines, figures = written("s", together)
    assert lines is None
    assert figures["streams"]["s"] == {
        "records": 0,
        "deletes": 0,
        "totals": {"amount": "0", "rate": "0"},
    }
