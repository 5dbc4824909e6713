"""The one taxonomy of failures, and the exit code that each ends with.

A message is one sentence for an operator: what failed, where, what to do. It never holds a secret,
a record or a response body. Codes follow ``sysexits.h`` where it has a fitting one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from datetime import datetime


class PipelineError(Exception):
    """A failure that we can name; the base of all others."""

    exit_code: ClassVar[int] = 1


class ConfigError(PipelineError):
    """A setting, a name or a permission is wrong: a person must change something first."""

    exit_code = 78


class AuthError(PipelineError):
    """An identity was refused: wrong, expired or revoked credentials, or no rights."""

    exit_code = 77


class TransientError(PipelineError):
    """The other side is busy or away, or its answer broke: the same run may work later."""

    exit_code = 75

    def __init__(self, message: str, *, retry_at: datetime | None = None) -> None:
        """Keep the earliest instant at which a further attempt is welcome, where it is known."""
        super().__init__(message)
        self.retry_at = retry_at


class DataError(PipelineError):
    """A value or message breaks its own contract and cannot be stored as what it claims to be."""

    exit_code = 65


class IntegrityError(PipelineError):
    """Figures that must agree do not: nothing may be published on this."""

    exit_code = 70


class BusyError(PipelineError):
    """Another run holds what this one needs."""

    exit_code = 73


class TerminatedError(SystemExit):
    """The process was told to stop (SIGTERM); what it had not finished does not count.

    Not an ``Exception``: it may be raised by a signal handler in the middle of anything, and much
    code (``logging.Handler.emit``, for one) swallows those.
    """

    exit_code: ClassVar[int] = 143

    def __init__(self, message: str) -> None:
        """End with 143; ``message`` is the last sentence."""
        super().__init__(self.exit_code)
        self.message = message


class ReaderGoneError(PipelineError):
    """The process that reads our output has gone away; why, its own last line says."""

    exit_code = 74
