"""Bodies that are no longer what the headers promise."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from contoso_sandbox.faults.rules import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from contoso_sandbox.faults.request import Answer, Asked

_LOGIN_PAGE = (
    b"<!DOCTYPE html>\r\n<html><head><title>Sign in to your account</title></head>"
    b'<body><form method="post" action="/common/login"><input name="loginfmt"/></form></body>'
    b"</html>\r\n"
)
_BOM = b"\xef\xbb\xbf"


def body(change: Callable[[bytes], bytes], name: str = "body") -> Action:
    """Replace the body by ``change(body)``, under the real status and headers."""

    def changed(real: Answer, _asked: Asked) -> Answer:
        return replace(real, body=change(real.body))

    return Action(name, change=changed)


def truncated_json(share: float = 0.5) -> Action:
    """Cut the text off after ``share`` of its length; the frame around it is whole."""
    return body(lambda text: text[: int(len(text) * share)], "truncated JSON")


def login_page() -> Action:
    """Answer 200 with the HTML of a sign-in page, as a proxy that wants to be logged in to."""

    def changed(real: Answer, _asked: Asked) -> Answer:
        headers = {**real.headers, "content-type": "text/html; charset=utf-8"}
        return replace(real, status=200, headers=headers, body=_LOGIN_PAGE)

    return Action("login page", change=changed)


def empty_body() -> Action:
    """Answer 200 with nothing in it."""
    return body(lambda _: b"", "empty body")


def byte_order_mark() -> Action:
    """Put UTF-8's mark before the document."""
    return body(lambda text: _BOM + text, "byte order mark")


def recoded(charset: str, *, declared: bool = False) -> Action:
    """Send the text in ``charset``, which the content type names only if ``declared``."""

    def changed(real: Answer, _asked: Asked) -> Answer:
        headers = dict(real.headers)
        if declared:
            headers["content-type"] = f"application/json; charset={charset}"
        text = real.body.decode().encode(charset, errors="replace")
        return replace(real, headers=headers, body=text)

    return Action(f"recoded to {charset}", change=changed)


def invalid_utf8() -> Action:
    """Put a byte that UTF-8 does not know into the first text value of a row."""
    return body(lambda text: _in_first_row(text, rb'(":")', rb"\1" + b"\xff"), "invalid UTF-8")


def garbage(seed: int = 7) -> Action:
    """Answer with as many random bytes."""
    return body(lambda text: random.Random(seed).randbytes(len(text)), "garbage")  # noqa: S311 - noise


def second_value() -> Action:
    """End the document with a second, empty ``value``: who takes the last one sees no rows."""
    return body(lambda text: text[:-1] + b',"value":[]}', "second value")


def duplicate_key(name: str, first: str = "null") -> Action:
    """Name a property of the first row twice; ``first`` is the JSON that comes before the real."""
    member = f'"{name}":'.encode()
    twice = member + first.encode() + b"," + member
    return body(lambda text: text.replace(member, twice, 1), "duplicate key")


def token_for(name: str, token: str) -> Action:
    """Write a bare ``token``, such as ``NaN`` or ``1e400``, for a number of the first row."""
    pattern = rf'("{re.escape(name)}":)[-+0-9.eE]+'.encode()
    return body(lambda text: re.sub(pattern, rb"\g<1>" + token.encode(), text, count=1), token)


def _in_first_row(text: bytes, pattern: bytes, replacement: bytes) -> bytes:
    head, opening, rows = text.partition(b'"value":[')
    return head + opening + re.sub(pattern, replacement, rows, count=1)
