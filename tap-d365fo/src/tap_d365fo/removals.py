"""Rows that are gone in F&O and that a target still has to lose: what a state remembers of them.

ACTIVATE_VERSION removes what did not come with its version, so it may end only a run that read
everything in one piece: a target may know no more than the rows of that run. A read of everything
that is interrupted, or that one company fails, sends none, and its rows travel on as they are
changed. Without a mark the rows that had gone by then would stay in the target for good: the
strategies that read changes do not know of them.

So the first state of such a read carries a mark, and only ACTIVATE_VERSION takes it away:

- ``owed``: everything is to be read again, after a run that reads the stream to its end. A read
  that is interrupted again and again must get on, and does so from page to page;
- ``due``: by the next run that may send a version. When that one begins it is ``owed`` again.

``full`` needs no mark: it reads everything each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

#: The entry of a partition's state.
REMOVAL = "removal"

OWED = "owed"
DUE = "due"


def is_due(states: Iterable[Mapping[str, Any]]) -> bool:
    """Whether everything is to be read again so that the target loses what is gone."""
    marks = {state.get(REMOVAL) for state in states} - {None}
    return marks == {DUE}


def begin(state: MutableMapping[str, Any]) -> None:
    """A read of everything begins: should it be interrupted, the next run only goes on."""
    if REMOVAL in state:
        state[REMOVAL] = OWED


def end(state: MutableMapping[str, Any], *, told: bool) -> None:
    """The stream has been read to its end; ``told`` of by ACTIVATE_VERSION, or never to be."""
    if told:
        state.pop(REMOVAL, None)
    elif REMOVAL in state:
        state[REMOVAL] = DUE
