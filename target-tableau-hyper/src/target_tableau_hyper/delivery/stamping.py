"""The sentence that a data source's description ends with: as of when, and by which run.

Readers of a dashboard see how old its data are, and a later look at the server tells whether what
is published is what a run sent: nothing else that a published data source shows would.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

_STAMP = re.compile(r"\s*As of \d{4}-\d\d-\d\d \d\d:\d\d UTC, run (\S+)\.\s*\Z")


def stamped(description: str | None, *, as_of: str, run_id: str) -> str:
    """``description`` with the sentence at its end, in place of an older one.

    Args:
        description: What people are to read; ``None`` for nothing.
        as_of: ISO instant at which the data were found current.
        run_id: The run that sends them.
    """
    moment = datetime.fromisoformat(as_of).astimezone(UTC)
    sentence = f"As of {moment:%Y-%m-%d %H:%M} UTC, run {run_id}."
    text = without_stamp(description)
    return f"{text}\n\n{sentence}" if text else sentence


def without_stamp(description: str | None) -> str:
    """What people wrote."""
    return _STAMP.sub("", description or "").rstrip()


def run_of(description: str | None) -> str | None:
    """The run that a description names; ``None`` where it names none."""
    found = _STAMP.search(description or "")
    return found[1] if found else None
