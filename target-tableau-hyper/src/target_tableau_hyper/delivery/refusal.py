"""Whether a server turned a package away, or was only away itself."""

from __future__ import annotations

from enum import Enum, auto

from tableauserverclient.server.endpoint.exceptions import (
    InternalServerError,
    ServerResponseError,
)

from pipeline_core.errors import PipelineError, TransientError

_INTERNAL_ERROR = 500


class JobFailedError(TransientError):
    """The server accepted the work and did not get it done.

    Attributes:
        cancelled: Whether somebody stopped it.
    """

    def __init__(self, message: str, *, cancelled: bool = False) -> None:
        """Note how the job ended."""
        super().__init__(message)
        self.cancelled = cancelled


class Refusal(Enum):
    """How sure it is that it was the package."""

    NONE = auto()
    PERHAPS = auto()
    CERTAIN = auto()


def refusal_of(error: PipelineError) -> Refusal:
    """Judge a failed publish of a package.

    400011 ("there was a problem publishing the file") and its neighbours speak of the file. A job
    that failed, often without a note, and the bare 500 that some unreadable files are answered
    with (hyper-api-samples#47) may be the file's fault.
    """
    if isinstance(error, JobFailedError):
        return Refusal.NONE if error.cancelled else Refusal.PERHAPS
    cause = error.__cause__
    if isinstance(cause, ServerResponseError) and str(cause.code).startswith("400"):
        return Refusal.CERTAIN
    if isinstance(cause, InternalServerError) and cause.code == _INTERNAL_ERROR:
        return Refusal.PERHAPS
    return Refusal.NONE
