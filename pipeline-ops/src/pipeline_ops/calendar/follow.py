"""Rounds of the driver: once, until nothing waits, or for ever."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline_core.errors import BusyError, ConfigError, PipelineError, TransientError
from pipeline_ops.calendar.blocks import check_blocks
from pipeline_ops.calendar.driver import Driver, Round, describe
from pipeline_ops.calendar.launch import Launcher
from pipeline_ops.calendar.lease import lease
from pipeline_ops.calendar.load import load_calendar
from pipeline_ops.calendar.store import State, Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

#: The wall clock is looked at least this often: it may be set at any time, and files change.
_LONGEST_SLEEP_S = 30.0

#: `--wait` does not leave just before the next event: whoever calls it then finds it running still.
_LINGER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is.

    Attributes:
        file: ``close_calendar.yml``.
        project: Directory of ``meltano.yml``.
        store: SQLite file of what became of each event; the lock and outcomes lie beside it.
        ledger: The audit ledger.
        meltano: The executable.
        periods: Where periods fetched from D365 are kept, where not as the calendar says.
    """

    file: Path
    project: Path
    store: Path
    ledger: Path
    meltano: Path
    periods: Path | None = None


def run_once(place: Place, tell: Callable[[str], None]) -> Round:
    """Load the calendar, take the lease, do one round.

    Raises:
        BusyError: another driver is at work.
        ConfigError: the calendar or the project is wrong.
        TransientError: a file that keeps the record cannot be written.
    """
    calendar = load_calendar(place.file, periods_file=place.periods)
    check_blocks(calendar, place.project)
    periods = calendar.source.read()
    beside = place.store.parent / f"{place.store.stem}-{calendar.name}"
    try:
        with lease(beside.with_suffix(".lock")) as lock, Store(place.store) as store:
            launcher = Launcher(place.project, place.meltano, beside, lock, calendar.driver.timeout)
            driver = Driver(calendar, periods, store, launcher, ledger_path=place.ledger, tell=tell)
            return driver.round()
    except (sqlite3.Error, OSError) as error:
        message = (
            f"the record of the calendar cannot be kept ({error}); nothing more is started before "
            "that is mended"
        )
        raise TransientError(message) from error


def run_until_settled(place: Place, tell: Callable[[str], None]) -> Round:
    """Rounds until no failed event waits for its next attempt.

    Raises:
        BusyError, ConfigError, TransientError: as :func:`run_once`.
    """
    records = {}
    while True:
        done = run_once(place, tell)
        records.update({record.key: record for record in done.records})
        waits = any(record.state is State.WAITING for record in records.values())
        now = datetime.now(UTC)
        soon = done.wake_at is not None and done.wake_at - now < _LINGER
        if not waits and not soon:
            return Round(tuple(records.values()), done.wake_at)
        time.sleep(_nap_s(done.wake_at, now))


def run_for_ever(place: Place, tell: Callable[[str], None]) -> None:
    """Rounds until told to stop. The file is read anew for each.

    What goes wrong is told once for each new sentence, and tried again: a service that ends because
    someone saved half an edit would miss a close.

    Raises:
        ConfigError: already the first round finds the calendar or the project wrong.
    """
    said = ""
    first = True
    while True:
        wake_at: datetime | None = None
        try:
            wake_at = run_once(place, tell).wake_at
            sentence = "" if wake_at is not None else NOTHING_AHEAD
        except BusyError as error:
            sentence = str(error)
        except PipelineError as error:
            if first and isinstance(error, ConfigError):
                raise
            sentence = str(error)
        first = False
        if sentence and sentence != said:
            tell(sentence)
        said = sentence
        time.sleep(_nap_s(wake_at, datetime.now(UTC)))


#: What is wrong with a calendar that has come to its end.
NOTHING_AHEAD = (
    "the calendar knows of nothing that lies ahead: its periods have come to an end; run "
    "`d365fo-tableau calendar fetch` or add periods"
)


def failure_of(done: Round) -> PipelineError | None:
    """What to end with after a round that did not go well: one sentence, and a fitting code."""
    bad = done.failures
    if bad:
        retry_at = min((r.retry_at for r in bad if r.retry_at), default=None)
        return TransientError("; ".join(map(describe, bad)), retry_at=retry_at)
    return ConfigError(NOTHING_AHEAD) if done.wake_at is None else None


def _nap_s(wake_at: datetime | None, now: datetime) -> float:
    if wake_at is None:
        return _LONGEST_SLEEP_S
    return min(_LONGEST_SLEEP_S, max(0.05, (wake_at - now).total_seconds()))
