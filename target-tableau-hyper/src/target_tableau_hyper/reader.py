"""Read Singer messages from bytes, with numbers exact.

Several times faster than the SDK's reader: msgspec parses bytes without decoding them to text
first. A line that cannot be read is named by its number and never quoted, because it holds data.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any

import msgspec
from singer_sdk.singerlib.encoding.base import GenericSingerReader

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

#: A JSON number with a fraction or an exponent becomes a Decimal with the digits as sent; an
#: integer becomes an int of any size.
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


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
                callback(message)
                counts[kind] += 1
        return counts

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

    @staticmethod
    def _parse(line: bytes | str, number: int) -> dict[str, Any]:
        try:
            message = _DECODER.decode(line)
        except msgspec.DecodeError:
            text = (
                f"line {number} of the input is no JSON; was the tap's output cut off, or does it "
                "print other text on stdout?"
            )
            raise DataError(text) from None
        if not isinstance(message, dict) or "type" not in message:
            text = f"line {number} of the input is no Singer message: it has no type"
            raise DataError(text)
        return message
