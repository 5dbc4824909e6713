"""``multipart/mixed`` request bodies, streamed: parts of files go to disk, documents to memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import Message
from typing import TYPE_CHECKING, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from contoso_sandbox.tableau import errors

if TYPE_CHECKING:
    from pathlib import Path

#: The part that holds the XML or JSON document; every other part is a file.
DOCUMENT_PART = "request_payload"
_MAX_DOCUMENT_BYTES = 1024 * 1024


@dataclass(slots=True)
class Part:
    """One part of a body.

    Attributes:
        name: From ``Content-Disposition``.
        filename: As the client calls the file; ``""`` where it does not.
        content_type: As sent.
        path: Where a file part was written.
        content: Bytes of a document part.
        size: Bytes of the part.
    """

    name: str
    filename: str
    content_type: str
    path: Path | None = None
    content: bytearray = field(default_factory=bytearray)
    size: int = 0


class MultipartReader:
    """Takes a body piece by piece and keeps what its parts hold, byte for byte."""

    def __init__(
        self, content_type: str, directory: Path, prefix: str, max_file_bytes: int
    ) -> None:
        """Prepare for one body.

        Args:
            content_type: Header with the boundary.
            directory: Where file parts are written, as ``<prefix>.<number>``.
            prefix: Unique for this request.
            max_file_bytes: Largest file part; what exceeds it is not written.

        Raises:
            RestError: 400000, the header names no boundary.
        """
        header = Message()
        header["Content-Type"] = content_type
        boundary = header.get_param("boundary")
        if header.get_content_maintype() != "multipart" or not isinstance(boundary, str):
            detail = "The request must be multipart/mixed with a boundary."
            raise errors.bad_request(detail)
        self.parts: list[Part] = []
        self._directory = directory
        self._prefix = prefix
        self._max_file_bytes = max_file_bytes
        self._file: BinaryIO | None = None
        self._headers = Message()
        self._name, self._value = bytearray(), bytearray()
        self._ended = False
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._close_file,
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Take the next piece.

        Raises:
            RestError: 400000, the body is not multipart.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            detail = "The multipart body cannot be read."
            raise errors.bad_request(detail) from error

    def finish(self) -> None:
        """Say that the body has ended.

        Raises:
            RestError: 400000, its closing boundary is missing: the body was cut; 413000, a file is
                too large.
        """
        if not self._ended:
            detail = "The multipart body ends before its closing boundary."
            raise errors.bad_request(detail)
        if any(part.path is not None and part.size > self._max_file_bytes for part in self.parts):
            detail = f"A file part may have at most {self._max_file_bytes} bytes."
            raise errors.too_large(detail)

    def abandon(self) -> None:
        """Close and remove the files."""
        self._close_file()
        for part in self.parts:
            if part.path is not None:
                part.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._headers = Message()

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header(self) -> None:
        self._headers[self._name.decode("latin-1")] = _decode(bytes(self._value))
        self._name.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        name = self._headers.get_param("name", header="content-disposition")
        part = Part(
            name=name if isinstance(name, str) else "",
            filename=self._headers.get_filename() or "",
            content_type=self._headers.get("content-type", ""),
        )
        self.parts.append(part)
        if part.name != DOCUMENT_PART:
            part.path = self._directory / f"{self._prefix}.{len(self.parts)}"
            self._file = part.path.open("wb")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.size += end - start
        if self._file is not None:
            if part.size <= self._max_file_bytes:
                self._file.write(memoryview(data)[start:end])
            return
        if part.size > _MAX_DOCUMENT_BYTES:
            detail = "The request document is too long."
            raise errors.bad_request(detail)
        part.content += data[start:end]

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_end(self) -> None:
        self._ended = True


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
