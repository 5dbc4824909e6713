"""What SQLite says when the ledger fails, as one of our errors: what failed, where, what to do."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline_core.errors import (
    BusyError,
    ConfigError,
    IntegrityError,
    PipelineError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAY_NOT = "give this user the right to write the file and its folder, or set another ledger"
_DAMAGED = "keep the file as evidence and restore it from a copy"

#: Primary result code of SQLite -> kind, and what to do.
#: Source: https://www.sqlite.org/rescode.html
_KINDS: dict[int, tuple[type[PipelineError], str]] = {
    sqlite3.SQLITE_FULL: (TransientError, "free space on its disk and run again"),
    # A quota or a limit on the size of files comes as this.
    sqlite3.SQLITE_IOERR: (
        TransientError,
        "look at the space, the quota and the health of its disk and run again",
    ),
    sqlite3.SQLITE_BUSY: (
        BusyError,
        "another process keeps it locked; wait for that and run again",
    ),
    sqlite3.SQLITE_LOCKED: (
        BusyError,
        "another process keeps it locked; wait for that and run again",
    ),
    sqlite3.SQLITE_READONLY: (ConfigError, _MAY_NOT),
    sqlite3.SQLITE_PERM: (ConfigError, _MAY_NOT),
    sqlite3.SQLITE_CANTOPEN: (ConfigError, _MAY_NOT),
    sqlite3.SQLITE_NOTADB: (ConfigError, "the file is no ledger; set another one"),
    # Another table of that name, or a view.
    sqlite3.SQLITE_ERROR: (ConfigError, "the file is no ledger; set another one"),
    sqlite3.SQLITE_CORRUPT: (IntegrityError, _DAMAGED),
    sqlite3.SQLITE_CONSTRAINT: (IntegrityError, _DAMAGED),
}


@contextmanager
def naming(ledger: str, what: str) -> Iterator[None]:
    """Raise what SQLite or the system says within as an error of ours.

    Args:
        ledger: Which one, such as ``the ledger var/ledger.db``.
        what: What of it failed, such as ``cannot be opened``.

    Raises:
        ConfigError, IntegrityError, BusyError, TransientError: by what was said. A wrong use of
            the connection, which is our own defect, stays what it is.
    """
    try:
        yield
    except OSError as error:
        message = f"{ledger} {what}: {error.strerror or error}; {_MAY_NOT}"
        raise ConfigError(message) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)  # only where SQLite itself complains
        if code is None:
            raise
        kind, to_do = _KINDS.get(code & 0xFF, (TransientError, "run again"))
        message = f"{ledger} {what}: {error}; {to_do}"
        raise kind(message) from error
