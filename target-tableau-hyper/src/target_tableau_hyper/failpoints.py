"""Named moments at which a test may let the process die, as a power cut would.

``TARGET_TABLEAU_HYPER_FAILPOINT=commit.extract`` kills it (SIGKILL) when that moment comes,
``upload.chunk:3`` when it comes for the third time; ``commit.extract=term`` tells it to stop
instead (SIGTERM). Without the variable nothing happens. It is an aid for tests: what a run survives
is tested at each of these moments.
"""

from __future__ import annotations

import os
import signal
from collections import Counter

_VARIABLE = "TARGET_TABLEAU_HYPER_FAILPOINT"

#: All of them, in the order of a run.
NAMES = (
    "input.state",  # a STATE has come, and more may follow
    "engine.start",  # hyperd is about to be started
    "merge.deleted",  # old rows are deleted, new ones not yet inserted
    "merged",  # the copy is complete
    "proved",  # and read back
    "commit.undo",  # the extract of before is kept, where rows are appended
    "commit.next",  # an extract and its manifest lie ready, perhaps not yet those of other streams
    "commit.together",  # all do, and from now on they count
    "commit.extract",  # an extract is replaced, its manifest is not
    "committed",  # both are, perhaps not yet those of other streams
    "delivery.intent",  # the ledger says what is about to happen
    "upload.chunk",  # a chunk has been taken
    "delivery.sent",  # the server has been given the work
    "delivery.job",  # and has done it
    "delivery.confirmed",  # and the manifest says so
    "state.settled",  # the STATE is about to go out
    "state.written",  # it has gone out
)

_seen: Counter[str] = Counter()


def reach(name: str) -> None:
    """Say that ``name`` has come."""
    wanted = os.environ.get(_VARIABLE)
    if not wanted:
        return
    _seen[name] += 1
    place, _, action = wanted.partition("=")
    moment, _, nth = place.partition(":")
    if moment == name and _seen[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGTERM if action == "term" else signal.SIGKILL)
