"""Keep secrets out of every line that a process writes.

Values that were handed to the process as secrets are replaced wherever they turn up, in the forms
in which they travel: as they are, URL-quoted, base64, inside a JSON string or Python's notation.
"""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse

#: What stands in a secret's place.
MASK = "***"

#: Shorter values would blank out ordinary words; no real credential is this short.
_MINIMUM_LENGTH = 6


class Redactor:
    """Replaces known secrets, the longest first.

    The order matters: with ``abc`` and ``abcdef`` both secret, replacing the short one first would
    leave ``***def`` of the long one.
    """

    def __init__(self) -> None:
        """Start with nothing to hide."""
        self._forms: list[str] = []

    def add(self, secret: str) -> None:
        """Hide ``secret`` from now on; values too short to be secrets are ignored."""
        if len(secret) < _MINIMUM_LENGTH:
            return
        forms = {
            secret,
            urllib.parse.quote(secret, safe=""),
            urllib.parse.quote_plus(secret),
            base64.b64encode(secret.encode()).decode(),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],  # a KeyError tells its key so
        }
        self._forms = sorted({*self._forms, *forms}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """``text`` with every known secret masked."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


class RedactingFilter(logging.Filter):
    """Masks secrets in the finished text of a log record, its exception text included."""

    def __init__(self, redactor: Redactor) -> None:
        """Mask what ``redactor`` knows at the time of each record."""
        super().__init__()
        self._redactor = redactor
        self._formatter = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite ``record`` in place; never drops it."""
        message = record.getMessage()
        masked = self._redactor.redact(message)
        if masked != message:
            record.msg, record.args = masked, None
        if record.exc_info and not record.exc_text:
            record.exc_text = self._formatter.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self._redactor.redact(record.exc_text)
        return True


def install_redaction() -> None:
    """Mask known secrets in everything that the root logger's handlers write from now on."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter(REDACTOR))


#: The process's own redactor: plugins add their secrets to it, the edge and the log handlers use
#: it.
REDACTOR = Redactor()
