"""Partitions that could not be read while others could."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline_core.errors import AuthError, PipelineError, ReaderGoneError, TransientError
from tap_d365fo.access.auth import NoTokenError
from tap_d365fo.access.client import DeniedError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class PartitionFailure:
    """What ended one partition, or a whole stream before its first."""

    stream: str
    company: str | None
    error: Exception

    def __str__(self) -> str:
        """The partition and the sentence of its error."""
        where = f"{self.stream} [{self.company}]" if self.company else self.stream
        return f"{where} could not be read: {self.error}"


#: Partitions in a row that fail for want of an answer, after which the environment counts as down.
_DOWN_AFTER = 8


def is_down(failures: Sequence[PartitionFailure], *, in_a_row: int) -> bool:
    """Whether so many partitions failed one after the other that none is worth a try."""
    last = [failure.error for failure in failures[-_DOWN_AFTER:]]
    return in_a_row >= _DOWN_AFTER and all(isinstance(error, TransientError) for error in last)


def is_fatal(error: Exception) -> bool:
    """Whether going on makes no sense: every other partition would fail the same way."""
    if isinstance(error, AuthError):
        return not isinstance(error, DeniedError)
    if isinstance(error, ReaderGoneError | NoTokenError):
        return True
    return not isinstance(error, PipelineError)


def summary(failures: Sequence[PartitionFailure]) -> PipelineError:
    """One error for all failures: the first one's kind and sentence, and how many there were."""
    first = failures[0]
    more = len(failures) - 1
    further = f" ({more} further partition{'s' if more > 1 else ''} failed, too)" if more else ""
    message = f"{first}{further}; what could be read was sent and its state is kept"
    if isinstance(first.error, TransientError):
        return TransientError(message, retry_at=first.error.retry_at)
    kind = type(first.error) if isinstance(first.error, PipelineError) else PipelineError
    return kind(message)
