"""Read Singer messages from bytes, with numbers exact.

Several times faster than the SDK's reader: msgspec parses bytes without decoding them to text
first, and of the records that a target takes together it only looks at the envelope. A line that
cannot be read is named by its number and never quoted, because it holds data.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: A JSON number with a fraction or an exponent becomes a Decimal with the digits as sent; an
#: integer becomes an int of any size.
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


class _Envelope(msgspec.Struct, gc=False):
    """A message, its record left as it is."""

    type: str
    stream: str = ""
    record: msgspec.Raw = msgspec.Raw()
    version: int | None = None


_ENVELOPES = msgspec.json.Decoder(_Envelope)

#: Lines of one stream that are taken together: as many as Arrow's reader wants for its blocks, and
#: no more than a few dozen streams of wide rows can have in memory at a time.
_GROUP_BYTES = 8 * 2**20
_GROUP_LINES = 20_000

#: What all groups together may hold.
_WAITING_BYTES = 64 * 2**20


@dataclass(slots=True)
class Lines:
    """Records of one stream and version, in order, as JSON text.

    Attributes:
        stream: Their stream.
        version: The version of all of them.
        records: Their texts.
        numbers: Lines of the input that they stood in.
        size: Length of the texts.
    """

    stream: str
    version: int | None = None
    records: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size: int = 0


class MessageReader(GenericSingerReader[bytes]):
    """Messages from standard input, or from any file of bytes or text."""

    def __init__(self, guard: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Run the whole reading inside ``guard``, which learns of a failure as its exception."""
        super().__init__()
        self._guard = guard
        #: Length of the line in hand: a fair measure of the memory that its record takes.
        self.line_bytes = 0
        #: File of the BATCH in hand, which its records come from.
        self.batch_file: str | None = None
        self._line = 0
        self._groups: dict[str, Lines] = {}
        self._waiting = 0
        self._take: Callable[[Lines], None] = lambda _: None
        self._settle: Callable[[], None] = lambda: None

    def take_together(
        self,
        stream: str,
        take: Callable[[Lines], None],
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand over the records of ``stream`` in groups from now on.

        A group ends where its version does, at any message but a RECORD, and at the end of input.
        The order of the records of one stream stays; that between streams does not.

        Args:
            stream: Of the groups.
            take: Takes a group of any stream; it may put off what it does with it.
            settle: Does what was put off: called before any message that is handed over singly.
        """
        self._take, self._settle = take, settle
        self._groups[stream] = Lines(stream)

    def take_singly(self, stream: str) -> None:
        """Hand over the records of ``stream`` one by one; call it only where no group waits."""
        self._groups.pop(stream, None)

    def messages_of(self, lines: Lines) -> Iterator[dict[str, Any]]:
        """The RECORD messages of a group one by one; each is the message in hand meanwhile.

        Raises:
            DataError: one of them is no JSON.
        """
        for record, self._line in zip(lines.records, lines.numbers, strict=True):
            self.line_bytes = len(record)
            yield {
                "type": "RECORD",
                "stream": lines.stream,
                "record": self._decoded(record, self._line),
                "version": lines.version,
            }

    @property
    def default_input(self) -> IO[bytes]:
        """Standard input, as bytes."""
        return sys.stdin.buffer

    @property
    def place(self) -> str:
        """Where the record in hand stands: a line of the input, or a BATCH file."""
        return self.batch_file or f"line {self._line}"

    def process_lines(
        self,
        file_input: IO[bytes] | IO[str] | None,
        callbacks: dict[Any, Callable[[dict[str, Any]], None]],
    ) -> Counter[str]:
        """Hand every message to the callback of its type.

        Returns:
            Number of messages by type.

        Raises:
            DataError: a line is no Singer message.
        """
        counts: Counter[str] = Counter()
        by_type = {str(key.value): callback for key, callback in callbacks.items()}
        lines: Any = file_input or self.default_input
        lines = getattr(lines, "buffer", lines)
        with self._guard():
            number = 0
            for line in lines:
                number += 1
                if self._groups and self._joins_group(line, number):
                    counts["RECORD"] += 1
                    continue
                self._line = number
                self.line_bytes = len(line)
                if self.line_bytes <= 2 and not line.strip():  # noqa: PLR2004 - a line break alone
                    continue
                message = self._parse(line, number)
                kind = message["type"]
                callback = by_type.get(kind)
                if callback is None:
                    text = f"line {number} of the input has the unknown type {str(kind)[:40]!r}"
                    raise DataError(text)
                if kind != "RECORD" or message.get("stream") in self._groups:
                    self._hand_over()
                    self._line = number
                callback(message)
                counts[kind] += 1
            self._hand_over()
        return counts

    def _joins_group(self, line: bytes | str, number: int) -> bool:
        """Put a record to its group, if it has one."""
        try:
            head = _ENVELOPES.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False  # blank, broken or odd: whoever reads it whole will say
        if head.type != "RECORD" or (group := self._groups.get(head.stream)) is None:
            return False
        record = head.record
        if not record:
            return False
        if group.records and group.version != head.version:
            self._hand_over_one(group)
        group.version = head.version
        group.records.append(record)
        group.numbers.append(number)
        size = len(line)
        group.size += size
        self._waiting += size
        if group.size >= _GROUP_BYTES or len(group.records) >= _GROUP_LINES:
            self._hand_over_one(group)
        elif self._waiting >= _WAITING_BYTES:
            self._hand_over()
        return True

    def _hand_over(self) -> None:
        """Let everything be taken that waits, and nothing be put off."""
        if self._waiting:
            for group in list(self._groups.values()):
                self._hand_over_one(group)
        self._settle()

    def _hand_over_one(self, group: Lines) -> None:
        if not group.records:
            return
        taken = replace(group)
        self._waiting -= group.size
        group.records, group.numbers, group.size = [], [], 0
        self._take(taken)

    def deserialize_json(self, line: bytes | str) -> dict[str, Any]:
        """One line as a dictionary (the SDK's own way in; used by its helpers)."""
        return self._parse(line, 0)

    @staticmethod
    def assert_line_requires(line_dict: dict[str, Any], requires: set[str]) -> None:
        """Check that a message has what its type needs; never quotes the message."""
        missing = sorted(requires - line_dict.keys())
        if missing:
            text = (
                f"a {str(line_dict.get('type', 'Singer'))[:20]} message lacks "
                f"{', '.join(missing)}; the tap breaks the Singer specification"
            )
            raise DataError(text)

    @classmethod
    def _parse(cls, line: bytes | str, number: int) -> dict[str, Any]:
        message = cls._decoded(line, number)
        if not isinstance(message, dict) or "type" not in message:
            text = f"line {number} of the input is no Singer message: it has no type"
            raise DataError(text)
        return message

    @staticmethod
    def _decoded(text: bytes | str, number: int) -> Any:  # noqa: ANN401 - a JSON value
        try:
            return _DECODER.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            reason = (
                f"line {number} of the input is no JSON; was the tap's output cut off, or does it "
                "print other text on stdout?"
            )
            raise DataError(reason) from None
