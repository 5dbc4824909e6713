"""Open the ledger, and find the runs that a person means."""

from __future__ import annotations

import re
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_core.ledger import Ledger, open_ledger
from pipeline_ops.runs import joined_runs, summarise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pipeline_core.ledger import Event
    from pipeline_ops.runs import RunSummary

ACTOR = "d365fo-tableau"

#: Stands for the run that began last.
LATEST = "latest"

_AGO = re.compile(r"(\d{1,4})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


@contextmanager
def opened(path: Path, *, run_id: str | None = None) -> Iterator[Ledger]:
    """The ledger at ``path``, which must be there; to be added to only by a run with an id.

    Raises:
        ConfigError: there is none, or the file is no ledger.
    """
    if not path.is_file():
        message = f"there is no ledger at {path}; run the pipeline once or pass --ledger"
        raise ConfigError(message)
    ledger = open_ledger(path, run_id=run_id, actor=ACTOR) if run_id else Ledger.reading(path)
    assert isinstance(ledger, Ledger)  # noqa: S101 - there is a path
    with ledger:
        try:
            yield ledger
        except sqlite3.DatabaseError as error:
            message = f"the ledger {path} cannot be read: {error}"
            raise ConfigError(message) from error


@dataclass(frozen=True, slots=True)
class Runs:
    """All runs of a ledger, and which of their ids belong together.

    Attributes:
        joined: Id of a target's run, and the tap's run that it took in.
    """

    ledger: Ledger
    joined: dict[str, str]

    @classmethod
    def of(cls, ledger: Ledger) -> Runs:
        """Those of ``ledger``."""
        return cls(ledger, joined_runs(ledger.events(prefix="input.from")))

    def find(self, wanted: str, *, replays: bool = True) -> str:
        """The run that ``wanted`` names, see :func:`find_run`; ``latest`` may leave out replays."""
        known = self.ledger.run_ids()
        if wanted == LATEST and not replays:
            repeated = {event.run_id for event in self.ledger.events(prefix="replay.")}
            known = [run_id for run_id in known if run_id not in repeated]
        found = find_run(known, wanted, self.joined)
        return self.joined.get(found, found)

    def ids(self, run_id: str) -> list[str]:
        """A run's id and those that belong to it."""
        return [run_id, *(target for target, tap in self.joined.items() if tap == run_id)]

    def replays(self) -> dict[str, str]:
        """Runs that emitted the pages of another one, and that one; by every id that they have."""
        found = {
            event.run_id: str(event.body["replay_of"])
            for event in self.ledger.events(prefix="run.started")
            if event.body.get("replay_of")
        }
        return found | {one: found[tap] for one, tap in self.joined.items() if tap in found}

    def seals(self, *, beside: str) -> list[Event]:
        """Every ``extract.sealed`` in the output directory that a run used."""
        return [event for event in self.loads(beside=beside) if event.event == "extract.sealed"]

    def loads(self, *, beside: str) -> list[Event]:
        """Every ``extract.sealed`` and ``extract.unchanged`` in the directory that a run used.

        A replay may write its extracts elsewhere, for somebody to look at: those are others.

        Args:
            beside: The run; also the id of a target's own.
        """
        places = {
            event.run_id: event.body["output_dir"]
            for event in self.ledger.events(prefix="run.started")
            if "output_dir" in event.body
        }
        ids = self.ids(self.joined.get(beside, beside))
        place = next((places[one] for one in ids if one in places), None)
        return [
            event
            for event in self.ledger.events(prefix="extract.")
            if places.get(event.run_id, place) == place
        ]

    def events(self, run_id: str) -> list[Event]:
        """All events of a run, in order."""
        found = [e for one in self.ids(run_id) for e in self.ledger.events(run_id=one)]
        return sorted(found, key=lambda event: event.seq)

    def summaries(self) -> list[RunSummary]:
        """One a run, in the order in which they began."""
        return summarise(self.ledger.events(), self.joined)


def find_run(run_ids: Sequence[str], wanted: str, joined: Mapping[str, str] | None = None) -> str:
    """The run that ``wanted`` names: by its id, the unique beginning of one, or ``latest``.

    Args:
        run_ids: In the order in which the runs began.
        wanted: As typed.
        joined: Ids that stand for another one.

    Raises:
        ConfigError: it names none, or more than one.
    """
    if wanted == LATEST and run_ids:
        return run_ids[-1]
    if wanted in run_ids:
        return wanted
    one = joined or {}
    found = list(dict.fromkeys(one.get(r, r) for r in run_ids if wanted and r.startswith(wanted)))
    if len(found) == 1:
        return found[0]
    if not found:
        message = f"the ledger has no run {wanted}; see `{ACTOR} runs list`"
        raise ConfigError(message)
    shown = ", ".join(found[:3])
    message = f"{len(found)} runs begin with {wanted} ({shown}); give more of the id"
    raise ConfigError(message)


def parse_when(text: str, *, now: datetime) -> datetime:
    """An instant: ISO 8601 (UTC where it says no zone), a date, or ``12h``, ``7d``, ``2w`` ago.

    Raises:
        ConfigError: it is none of these.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no date, instant or time ago (12h, 7d, 2w)"
        raise ConfigError(message) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def matching(
    runs: Sequence[RunSummary],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    outcome: str | None = None,
    stream: str | None = None,
    datasource: str | None = None,
    last: int | None = None,
) -> list[RunSummary]:
    """Those runs to which everything that is given applies; of them the ``last`` ones."""
    found = [
        run
        for run in runs
        if (since is None or datetime.fromisoformat(run.first_ts) >= since)
        and (until is None or datetime.fromisoformat(run.first_ts) < until)
        and (outcome is None or run.outcome == outcome)
        and (stream is None or stream in run.streams)
        and (datasource is None or datasource in run.datasources)
    ]
    return found if last is None else found[len(found) - min(last, len(found)) :]
