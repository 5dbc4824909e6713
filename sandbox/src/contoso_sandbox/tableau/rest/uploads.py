"""File uploads over REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import bad_request, file_part_missing
from contoso_sandbox.tableau.responses import Answer
from contoso_sandbox.tableau.rest.call import BodyKind, Endpoint

if TYPE_CHECKING:
    from contoso_sandbox.tableau.rest.call import Call


def start_upload(call: Call) -> Answer:
    """``POST …/fileUploads``."""
    return Answer(201, (call.rooms.uploads.start(),))


def add_block(call: Call) -> Answer:
    """``PUT …/fileUploads/{session_id}``, with ``sequenceID`` where blocks come in parallel."""
    call.rooms.uploads.require(call.path["session_id"])
    block = call.file("tableau_file")
    if block is None:
        raise file_part_missing()
    sequence = call.query.get("sequenceID")
    if sequence is not None and not sequence.isdecimal():
        detail = "sequenceID must be a number."
        raise bad_request(detail)
    number = None if sequence is None else int(sequence)
    return Answer(200, (call.rooms.uploads.add(call.path["session_id"], block[0], number),))


ENDPOINTS = (
    Endpoint("POST", "/sites/{site_id}/fileUploads", start_upload),
    Endpoint(
        "PUT", "/sites/{site_id}/fileUploads/{session_id}", add_block, body=BodyKind.MULTIPART
    ),
)
