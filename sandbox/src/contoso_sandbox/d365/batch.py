"""``POST /data/$batch``: several reads in one ``multipart/mixed`` request.

Every part is answered for itself inside an outer 200, a failing one too (recorded in
``vglu/doc2ent``). Source of the limit: MicrosoftDocs, ``service-protection-api-limits.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

from contoso_sandbox.d365.errors import reject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_MOST_OPERATIONS = 5000


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of a batch: its target may be absolute or relative to the batch's URL."""

    method: str
    target: str
    accept: str


def parse_batch(content_type: str, body: bytes) -> list[Operation]:
    """Take a batch apart.

    Raises:
        RefusedError: 400, not a multipart body, an unreadable part, or more than 5,000 operations.
    """
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n" + body
    )
    if message.get_content_type() != "multipart/mixed" or not message.is_multipart():
        reject("The batch request must have a 'multipart/mixed' body with a boundary.")
    parts = [part for part in message.walk() if not part.is_multipart()]
    if len(parts) > _MOST_OPERATIONS:
        reject(f"The batch exceeds the limit of {_MOST_OPERATIONS} operations.")
    return [_operation(bytes(part.get_payload(decode=True))) for part in parts]


def write_batch(replies: Iterable[tuple[int, Mapping[str, str], bytes]]) -> tuple[str, bytes]:
    """Put the answers of a batch together; returns content type and body."""
    boundary = f"batchresponse_{uuid4()}"
    pieces: list[bytes] = []
    for status, headers, body in replies:
        pieces.append(
            f"--{boundary}\r\nContent-Type: application/http\r\n"
            "Content-Transfer-Encoding: binary\r\n\r\n"
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        )
        pieces += [f"{name}: {value}\r\n".encode() for name, value in headers.items()]
        pieces += [b"\r\n", body, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/mixed; boundary={boundary}", b"".join(pieces)


def _operation(content: bytes) -> Operation:
    line, _, headers = content.lstrip().partition(b"\n")
    match line.decode("latin-1").split():
        case [method, target, version] if version.startswith("HTTP/"):
            accept = str(BytesParser(policy=HTTP).parsebytes(headers).get("Accept", ""))
            return Operation(method, target, accept)
        case _:
            return reject("An operation of the batch does not start with an HTTP request line.")
