"""Which request a fault strikes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from contoso_sandbox.faults.request import Answer, Asked
    from contoso_sandbox.faults.wire import Wire

    Matcher = str | Callable[[Asked], bool]


class Page(StrEnum):
    """Where in a walk an answer stands, judged by the real answer.

    A set of one page is its own first and last.
    """

    FIRST = "first"
    MIDDLE = "middle"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Action:
    """What a fault does; whatever is absent goes on as without it.

    Attributes:
        name: For the log.
        before: Runs before the real answer is made.
        instead: Makes an answer that takes the real one's place.
        change: Makes another answer of the real one.
        deliver: Sends the answer in its own way.
    """

    name: str
    before: Callable[[Asked, Wire], Awaitable[None]] | None = None
    instead: Callable[[Asked], Answer] | None = None
    change: Callable[[Answer, Asked], Answer] | None = None
    deliver: Callable[[Answer, Wire], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault: an action and the requests that it strikes.

    Attributes:
        action: What happens.
        on: A regular expression that is the whole name of the entity set or the whole path, or a
            function of the request.
        nth: Ordinals, from 1, among the requests that ``on`` and ``page`` select; all of them if
            absent.
        page: Only answers that stand there in their walk.
        times: How often it strikes at most.
    """

    action: Action
    on: Matcher = ".*"
    nth: int | Collection[int] | None = None
    page: Page | None = None
    times: int | None = None

    def selects(self, asked: Asked) -> bool:
        """Tell whether ``on`` selects the request."""
        if not isinstance(self.on, str):
            return self.on(asked)
        subjects = (asked.entity_set or "", asked.path)
        return any(re.fullmatch(self.on, subject) for subject in subjects if subject)

    def fits(self, asked: Asked, answer: Answer) -> bool:
        """Tell whether the answer stands where ``page`` says."""
        first, last = asked.starts_a_walk, answer.ends_a_walk
        match self.page:
            case Page.FIRST:
                return first
            case Page.LAST:
                return last
            case Page.MIDDLE:
                return not first and not last
            case None:
                return True


@dataclass(slots=True)
class Script:
    """A fault and how often it was asked and struck."""

    fault: Fault
    seen: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        """Count one more selected request and tell whether it is struck."""
        self.seen += 1
        nth, times = self.fault.nth, self.fault.times
        wanted = {nth} if isinstance(nth, int) else nth
        if (wanted is not None and self.seen not in wanted) or self.struck == times:
            return False
        self.struck += 1
        return True


def pages_of(entity_set: str) -> Callable[[Asked], bool]:
    """Select the pages of a set's rows: no counts, no single rows, no looks at the first ones.

    Those carry a ``$top``. The links of F&O do as well, but with a ``$skip``.
    """

    def selects(asked: Asked) -> bool:
        options = asked.options
        limited = "$top" in options and "$skip" not in options
        return asked.path == f"/data/{entity_set}" and not limited

    return selects


def counts_of(entity_set: str) -> Callable[[Asked], bool]:
    """Select ``/$count`` of a set."""
    return lambda asked: asked.path == f"/data/{entity_set}/$count"


def rows_of(entity_set: str) -> Callable[[Asked], bool]:
    """Select reads of one row by its key."""
    return lambda asked: asked.path.startswith(f"/data/{entity_set}(")
