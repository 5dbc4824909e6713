"""From the body of an answer to the document that it is, or to what is wrong with it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from pipeline_core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_d365fo.access.body import Body

#: Reads a document with rows of one entity faster; None where it declines.
ReadRows: TypeAlias = "Callable[[Body], dict[str, Any] | None]"

#: The member that holds the rows of a page.
_ROWS = b'"value"'

#: What some servers begin UTF-8 with.
_MARK = b"\xef\xbb\xbf"

#: Numbers keep every digit: a JSON number with a fraction becomes a Decimal, never a float.
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class UnreadableError(Exception):
    """A body that is not whole; the text says how, without any of it."""


def parse_document(body: Body, what: str, read_rows: ReadRows | None = None) -> dict[str, Any]:
    """The document in ``body``.

    Args:
        body: Unpacked.
        what: Names the answer in messages.
        read_rows: Is asked first what it makes of the body.

    Raises:
        UnreadableError: it is no whole document. A login page with status 200, an empty body and a
            cut-off one all end here: none of them may pass for a page without rows.
        DataError: it is JSON of another kind.
    """
    # ``removeprefix`` would copy 90 MB that do not begin so.
    text = body[len(_MARK) :] if body.startswith(_MARK) else body  # noqa: FURB188
    document = read_rows(text) if read_rows is not None else None
    try:
        document = _decoder.decode(text) if document is None else document
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError) as error:
        reason = "a body that is no complete JSON document"
        raise UnreadableError(reason) from error
    if _may_name_rows_twice(body) and _names_twice(body):
        # A reader that takes the last of two arrays of rows may see none.
        reason = "a document that names a member twice"
        raise UnreadableError(reason)
    if not isinstance(document, dict):
        message = f"{what} answered with JSON that is no OData document"
        raise DataError(message)
    return document


def _may_name_rows_twice(body: Body) -> bool:
    """Whether there are several arrays, of which one could hide the rows of another.

    One bracket is found ten times as fast as a name, and most pages have no second one.
    """
    return body.find(b"[", body.find(b"[") + 1) >= 0 and body.count(_ROWS) > 1


def _names_twice(body: Body) -> bool:
    """Whether an object in ``body`` has two members of one name; slow, so only on suspicion."""
    found = False

    def look(members: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({name for name, _ in members}) < len(members)

    json.loads(body, object_pairs_hook=look)
    return found
