"""The one place where messages leave the process."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import singerlib as singer
from singer_sdk.singerlib.encoding.base import GenericSingerWriter

from pipeline_core.errors import ReaderGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_d365fo.audit import RunAudit
    from tap_d365fo.reading.typed_rows import Row

_encoder = msgspec.json.Encoder(decimal_format="number")

#: Where the record of a RECORD message stands; in a name, the quotes would be escaped.
_RECORD = b'"record":'
_NOTHING = _RECORD + b"{}"


class AuditingWriter(GenericSingerWriter[bytes, singer.Message]):
    """Writes JSON lines, counts what it writes, and puts the figures into every STATE.

    Counting here rather than where rows are read covers stream maps that drop or change records,
    and keeps the figures in step with the pipe.
    """

    def __init__(self, audit: RunAudit) -> None:
        """Count into ``audit``."""
        super().__init__()
        self._audit = audit

    def serialize_message(self, message: singer.Message) -> bytes:
        """One line without its end; decimals keep all their digits."""
        return _encoder.encode(self._with_audit(message))

    def write_message(self, message: singer.Message) -> None:
        """Write ``message``; records are buffered, everything else goes out at once.

        A SCHEMA, STATE or ACTIVATE_VERSION flushes what stands before it: the reader must not wait
        for the commit point of rows that it already has.
        """
        if isinstance(message, singer.SchemaMessage):
            self._audit.announce(message.stream, message.schema)
        elif isinstance(message, singer.RecordMessage):
            self._audit.add(message.stream, message.record)
        self._write(
            self.serialize_message(message) + b"\n",
            at_once=not isinstance(message, singer.RecordMessage),
        )

    def write_records(
        self,
        stream: str,
        records: Sequence[Row],
        *,
        version: int | None,
        time_extracted: datetime | None,
    ) -> None:
        """Write the lines that :meth:`write_message` would, without an object for each message.

        Args:
            stream: Was announced by a SCHEMA.
            records: Of one page.
            version: Of all of them.
            time_extracted: Likewise.

        Raises:
            DataError: an amount cannot be added up; then none of them is written.
        """
        if not records:
            return
        self._audit.add_all(stream, records)
        hollow = singer.RecordMessage(stream, {}, version, time_extracted)
        before, after = _encoder.encode(hollow.to_dict()).split(_NOTHING, 1)
        before, after = before + _RECORD, after + b"\n"
        # Within JSON a line break is escaped: what is there ends a record.
        lines = _encoder.encode_lines(records).replace(b"\n", after + before)
        self._write(before, memoryview(lines)[: -len(before)], at_once=False)

    @staticmethod
    def _write(*lines: bytes | memoryview, at_once: bool) -> None:
        try:
            sys.stdout.buffer.writelines(lines)
            if at_once:
                sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise _reader_gone() from error

    def _with_audit(self, message: singer.Message) -> dict[str, Any]:
        content: dict[str, Any] = message.to_dict()
        if isinstance(message, singer.StateMessage):
            content["value"] = {**content["value"], "audit": self._audit.snapshot()}
        return content


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Name the failure when nobody reads stdout any longer.

    Raises:
        ReaderGoneError: the pipe was closed at its other end.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise _reader_gone() from error


def _reader_gone() -> ReaderGoneError:
    # The interpreter flushes once more on its way out; let that go nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ReaderGoneError("the process that reads our output has gone away; look at its last line")
