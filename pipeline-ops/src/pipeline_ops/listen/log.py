"""The service's log: one line an event, fields as ``name=value``; never a path, body or secret."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

from pipeline_core.redaction import REDACTOR, RedactingFilter

#: The service's logger. ``log.info("event kept", extra=fields(sender="tableau"))``.
LOG = logging.getLogger("d365fo-tableau.listen")

_FIELDS = "listen_fields"


def fields(**values: object) -> dict[str, object]:
    """Fields of a log line, for ``extra=``."""
    return {_FIELDS: values}


class _Line(logging.Formatter):
    """``2026-11-24T06:00:00Z INFO request sender=tableau``; one line whatever the values hold."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        words = [f"{at}Z {record.levelname} {_printable(record.getMessage())}"]
        for name, value in getattr(record, _FIELDS, {}).items():
            words.append(f"{name}={_quoted(str(value))}")
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            words.append(f"trace={json.dumps(record.exc_text)}")
        return REDACTOR.redact(" ".join(words))


def set_up(stream: TextIO = sys.stderr, *, level: int = logging.INFO) -> None:
    """Send what this process logs to ``stream``, masked."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Line())
    handler.addFilter(RedactingFilter(REDACTOR))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # They tell of every request, with addresses.
    for name in ("urllib3", "TSC", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _quoted(text: str) -> str:
    """As it is, or as a JSON string where blanks or control characters would blur the line."""
    if text and text.isprintable() and not any(c in text for c in ' "='):
        return text
    return json.dumps(text, ensure_ascii=False)
