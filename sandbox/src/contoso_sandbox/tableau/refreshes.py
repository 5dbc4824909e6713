"""Refreshing data sources and workbooks: the request that waits, and the work behind it.

Only what has an extract of its own can be refreshed: a data source that reads its ``.hyper`` file
directly, and a workbook that shows its data sources live, have nothing behind them to read again.
The simulated server reaches no database: what stands behind a data source is a function of the test
(:meth:`RefreshScript.source`).
"""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.errors import already_queued, refresh_not_allowed
from contoso_sandbox.tableau.jobs import Job, JobFailedError, JobType
from contoso_sandbox.tableau.times import later

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.tableau.backgrounder import Backgrounder
    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.datasources import Datasources
    from contoso_sandbox.tableau.jobs import Jobs
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock
    from contoso_sandbox.tableau.workbooks import Workbook, Workbooks


_DATASOURCE, _WORKBOOK = "datasource", "workbook"


@dataclass(slots=True)
class RefreshScript:
    """What becomes of refreshes, by the name of the data source or workbook; tests write it."""

    _failures: dict[str, list[str]] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)
    _sources: dict[str, Callable[[], Path]] = field(default_factory=dict)
    _held: set[str] = field(default_factory=set)

    def fail(self, name: str, note: str = "", *, times: int = 1) -> None:
        """Let the next refreshes fail with ``note``; an empty one gives no reason."""
        self._failures.setdefault(name, []).extend([note] * times)

    def slow(self, name: str, seconds: float) -> None:
        """Let refreshes, those under way too, take that much longer than other jobs."""
        self._seconds[name] = seconds

    def hold(self, name: str) -> None:
        """Let refreshes begin, and run until they are let go of."""
        self._held.add(name)

    def let_go(self, name: str) -> None:
        """Let refreshes that are held come to their end."""
        self._held.discard(name)

    def source(self, name: str, read: Callable[[], Path]) -> None:
        """Put a source behind a data source: a function that writes a new ``.hyper`` file."""
        self._sources[name] = read

    def clear(self) -> None:
        """Forget everything."""
        self._failures.clear()
        self._seconds.clear()
        self._sources.clear()
        self._held.clear()

    def seconds(self, job: Job) -> float:
        """How much longer than usual a job takes."""
        return self._seconds.get(job.datasource_name, 0.0) if job.type is JobType.REFRESH else 0.0

    def is_held(self, job: Job) -> bool:
        """Whether a job that runs must go on running."""
        return job.type is JobType.REFRESH and job.datasource_name in self._held

    def next_failure(self, name: str) -> str | None:
        """The note of the failure that is due, used up; ``None`` where none is."""
        waiting = self._failures.get(name)
        return waiting.pop(0) if waiting else None

    def read(self, name: str, target: Path) -> bool:
        """Write to ``target`` what the source holds now; ``False`` where there is none."""
        read = self._sources.get(name)
        if read is None:
            return False
        shutil.copyfile(read(), target)
        return True


class Refreshes:
    """Takes requests for refreshes."""

    def __init__(self, database: Database, jobs: Jobs, worker: Backgrounder, clock: Clock) -> None:
        """Wire it."""
        self._database = database
        self._jobs = jobs
        self._worker = worker
        self._clock = clock

    def accept_datasource(self, item: Datasource) -> Job:
        """Queue the refresh of a data source.

        Raises:
            RestError: 409090, it is no extract; 409093, a refresh of it is not done yet.
        """
        if item.live_to_hyper:
            raise refresh_not_allowed(_DATASOURCE, item.name)
        return self._accept(_DATASOURCE, item.id, item.name)

    def accept_workbook(self, item: Workbook) -> Job:
        """Queue the refresh of a workbook.

        Raises:
            RestError: 409090, it has no extract; 409093, a refresh of it is not done yet.
        """
        if not item.extract:
            raise refresh_not_allowed(_WORKBOOK, item.name)
        return self._accept(_WORKBOOK, item.id, item.name)

    def _accept(self, subject: str, item_id: str, name: str) -> Job:
        with self._database.transaction():
            if any(
                job.type is JobType.REFRESH and job.datasource_id == item_id
                for job in self._jobs.all()
                if not job.completed_at
            ):
                raise already_queued(name)
            job = Job(
                id=str(uuid.uuid4()),
                type=JobType.REFRESH,
                created_at=self._clock(),
                datasource_id=item_id,
                datasource_name=name,
                details={"subject": subject},
            )
            self._worker.submit(job)
        return job


class RefreshWork:
    """Does refresh jobs."""

    def __init__(
        self,
        datasources: Datasources,
        workbooks: Workbooks,
        jobs: Jobs,
        script: RefreshScript,
        clock: Clock,
    ) -> None:
        """Wire it."""
        self._datasources = datasources
        self._workbooks = workbooks
        self._jobs = jobs
        self._script = script
        self._clock = clock

    def prepare(self, job: Job) -> Callable[[], object]:
        """Read what the refresh brings, and return what makes it count.

        Raises:
            JobFailedError: the script says so.
            RestError: what was to be refreshed is gone.
        """
        note = self._script.next_failure(job.datasource_name)
        if note is not None:
            raise JobFailedError(note)
        if job.subject == _WORKBOOK:
            return self._workbook(self._workbooks.get(job.datasource_id))
        return self._datasource(job, self._datasources.get(job.datasource_id))

    def _workbook(self, item: Workbook) -> Callable[[], object]:
        seen = {one: self._datasources.get(one).revision for one in item.datasources}
        return lambda: self._workbooks.refreshed(item, seen)

    def _datasource(self, job: Job, item: Datasource) -> Callable[[], object]:
        read = self._jobs.folder(job.id) / "read.hyper"
        if self._script.read(item.name, read):
            return lambda: self._datasources.save_data(item, read)
        touched = replace(item, updated_at=later(self._clock(), item.updated_at))
        return lambda: self._datasources.save(touched)
