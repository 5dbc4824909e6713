"""The outermost edge of a command: every failure becomes one last sentence and one exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

from pipeline_core.errors import PipelineError, TerminatedError, TransientError
from pipeline_core.exit_notes import leave_note
from pipeline_core.redaction import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable

#: Shell convention: 128 + SIGINT.
_INTERRUPTED = 130


def run_guarded(command: Callable[[], object], *, name: str) -> NoReturn:
    """Run ``command`` and leave the process.

    The last line on stderr of a failed run is ``<name>: <sentence>``; a named failure
    (:class:`~pipeline_core.errors.PipelineError`) shows no traceback, because its sentence says
    what to do. Anything else is a defect of ours and shows where it happened.
    """
    code = _exit_code(command, name=name)
    leave_note(name, code)
    sys.exit(code)


def _exit_code(command: Callable[[], object], *, name: str) -> int:
    try:
        command()
    except PipelineError as error:
        _say(name, _sentence(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say(name, "interrupted; nothing that was not finished counts")
        return _INTERRUPTED
    except TerminatedError as told:
        _say(name, told.message)
        return told.exit_code
    except SystemExit as leaving:
        return _code_of(leaving)
    except Exception as error:  # noqa: BLE001 - the outermost edge
        trace = _masked_trace(error)
        logging.getLogger(name).error("unexpected failure\n%s", trace)  # noqa: TRY400 - masked first
        _say(
            name,
            f"unexpected {type(error).__name__}: {error}; please report this with the lines above",
        )
        return 1
    return 0


def _masked_trace(error: Exception) -> str:
    """Where it happened, without secrets; text already, so that no handler can print it in clear.

    A filter on handlers is no protection here: a command that set up no logging has none, and
    Python's last resort would write the traceback as it is.
    """
    return REDACTOR.redact("".join(traceback.format_exception(error))).rstrip()


def _sentence(error: PipelineError) -> str:
    sentence = " ".join(str(error).split())
    if isinstance(error, TransientError) and error.retry_at is not None:
        sentence += f" (retry at {error.retry_at.isoformat(timespec='seconds')})"
    return sentence


def _code_of(leaving: SystemExit) -> int:
    if leaving.code is None:
        return 0
    if isinstance(leaving.code, int):
        return leaving.code
    print(REDACTOR.redact(str(leaving.code)), file=sys.stderr)  # noqa: T201 - as the interpreter would
    return 1


def _say(name: str, sentence: str) -> None:
    print(f"{name}: {REDACTOR.redact(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 - the edge
