"""Bring sealed extracts to Tableau, and note what Tableau confirmed.

A delivery counts when its job has succeeded and the data source shows it. Until then the manifest
keeps the former delivery, so a run that dies in between is made good by the next one.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from pipeline_core.errors import AuthError, ConfigError, PipelineError, TransientError
from target_tableau_hyper.delivery.plan import Decision, Situation, Way, decide
from target_tableau_hyper.delivery.publish import start_publish
from target_tableau_hyper.delivery.update import actions, request_id, start_update
from target_tableau_hyper.extract.manifest import Delivery, Manifest
from target_tableau_hyper.tableau.datasources import find_datasource, stamp
from target_tableau_hyper.tableau.jobs import FIRST_WAIT_S, Ending, JobResult, wait_for_job
from target_tableau_hyper.tableau.projects import find_project

if TYPE_CHECKING:
    from collections.abc import Generator

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

    from target_tableau_hyper.loading import Sealed
    from target_tableau_hyper.run import Run
    from target_tableau_hyper.tableau.session import TableauSession

#: Jobs of ours on the server at a time. A site runs ten or more at once, and others want theirs.
_AT_ONCE = 4

#: ``updatedAt`` has whole seconds, the job's ``createdAt`` too.
_CLOCK_GRAIN = timedelta(seconds=1)

#: How long the effect of a purged job is waited for.
_EFFECT_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one extract."""

    sealed: Sealed
    decision: Decision
    seconds: float


#: A delivery that stops where it would wait for the server, and ends with what became of it.
UnderWay: TypeAlias = "Generator[None, None, Delivered]"


class Courier:
    """Delivers the extracts of one run through one session."""

    def __init__(self, run: Run, session: TableauSession) -> None:
        """Use a session that is signed in."""
        self._run = run
        self._session = session
        self._projects: dict[str, TSC.ProjectItem] = {}

    def deliver(self, sealed: Sealed) -> UnderWay:
        """Deliver one extract, if it must be, and record it in manifest and ledger.

        Yields when the server has been given work: others can be given theirs meanwhile.

        Raises:
            PipelineError: it was not delivered; the manifest says so.
        """
        started = time.monotonic()
        manifest = sealed.manifest
        path = self._project_path(manifest)
        project = self._project(path)
        published = find_datasource(self._session, manifest.datasource, project)
        decision = self._decide(sealed, path, published)
        if decision.way is Way.NOTHING:
            return Delivered(sealed, decision, time.monotonic() - started)
        self._run.logger.info(
            "%s: %s, because %s", manifest.datasource, decision.way.value, decision.why
        )
        if decision.way is Way.UPDATE and published is not None:
            try:
                delivery = yield from self._update(sealed, path, project, published)
            except TransientError as error:
                if not isinstance(error, JobFailedError):
                    raise
                self._run.logger.warning("%s; publishing the whole extract instead", error)
                decision = Decision(Way.OVERWRITE, "the update's job failed")
                delivery = yield from self._overwrite(sealed, path, project)
        else:
            delivery = yield from self._overwrite(sealed, path, project)
        confirmed = replace(sealed, manifest=manifest.with_delivery(delivery))
        sealed.store.update(confirmed.manifest)
        return Delivered(confirmed, decision, time.monotonic() - started)

    def _decide(self, sealed: Sealed, path: str, published: TSC.DatasourceItem | None) -> Decision:
        manifest, last = sealed.manifest, sealed.manifest.delivered
        here = (
            last is not None
            and published is not None
            and last.datasource_id == published.id
            and (last.server, last.site, last.project, last.name) == self._place(manifest, path)
        )
        untouched = (
            here
            and last is not None
            and published is not None
            and stamp(published.updated_at) == last.updated_at
        )
        return decide(
            Situation(
                mode=self._run.settings.publish,
                delivered_sha=last.sha256 if here and last is not None else None,
                sha=manifest.sha256,
                base_sha=manifest.previous_sha256,
                changed_rows=sealed.delta.rows,
                total_rows=manifest.rows,
                payload_bytes=sealed.payload.stat().st_size if sealed.payload else None,
                schema_changed=sealed.delta.schema_changed,
                replaced=sealed.delta.replaced,
                untouched=untouched,
            )
        )

    def _overwrite(
        self, sealed: Sealed, path: str, project: TSC.ProjectItem
    ) -> Generator[None, None, Delivery]:
        manifest = sealed.manifest
        names = self._run.settings.datasource(manifest.stream)
        with self._run.ledger.effect(
            "delivery", datasource=manifest.datasource, way="overwrite", sha256=manifest.sha256
        ) as effect:
            job = start_publish(
                self._session,
                sealed.store.extract,
                name=manifest.datasource,
                project=project,
                description=names.description,
            )
            yield
            result = self._wait(job, manifest.datasource)
            found = self._published(manifest.datasource, project, job, result)
            delivery = self._confirmed(manifest, path, found, job, "overwrite")
            effect.verified(
                job_id=delivery.job_id,
                datasource_id=delivery.datasource_id,
                updated_at=delivery.updated_at,
            )
        return delivery

    def _update(
        self,
        sealed: Sealed,
        path: str,
        project: TSC.ProjectItem,
        published: TSC.DatasourceItem,
    ) -> Generator[None, None, Delivery]:
        manifest, delta = sealed.manifest, sealed.delta
        assert sealed.payload is not None  # noqa: S101 - the plan asked for it
        request = request_id(self._run.run_id, manifest.sha256)
        with self._run.ledger.effect(
            "delivery",
            datasource=manifest.datasource,
            way="update",
            sha256=manifest.sha256,
            request_id=request,
        ) as effect:
            # Appended rows may share a key with older ones, which an upsert would replace.
            appending = self._run.settings.load_method == "append-only"
            steps = actions(
                () if appending else manifest.keys,
                deletes=bool(delta.deleted),
                upserts=bool(delta.inserted or delta.updated),
            )
            job = start_update(
                self._session,
                str(published.id),
                sealed.payload,
                steps,
                request=request,
                name=manifest.datasource,
            )
            yield
            result = self._wait(job, manifest.datasource)
            if result.ending is Ending.UNKNOWN:
                message = f"job {job.id} was purged before it could be seen to succeed"
                raise JobFailedError(message)
            found = find_datasource(self._session, manifest.datasource, project)
            if found is None:
                message = f"data source {manifest.datasource!r} is gone after its update"
                raise JobFailedError(message)
            delivery = self._confirmed(manifest, path, found, job, "update")
            effect.verified(
                job_id=delivery.job_id,
                datasource_id=delivery.datasource_id,
                updated_at=delivery.updated_at,
            )
        return delivery

    def _wait(self, job: TSC.JobItem, name: str) -> JobResult:
        """Wait for a job to end well.

        Raises:
            JobFailedError: it failed or was cancelled.
        """
        result = wait_for_job(
            self._session,
            job,
            what=name,
            timeout_s=self._session.settings.job_timeout_s,
            logger=self._run.logger,
        )
        if result.ending in {Ending.FAILED, Ending.CANCELLED}:
            notes = result.notes or "the server gives no reason"
            message = (
                f"data source {name!r}: job {result.job_id} {result.ending.value} on the server "
                f"({notes}); the next run delivers again"
            )
            raise JobFailedError(message)
        return result

    def _published(
        self, name: str, project: TSC.ProjectItem, job: TSC.JobItem, result: JobResult
    ) -> TSC.DatasourceItem:
        """The data source as the job left it.

        Of a purged job nobody can say that it succeeded, so its effect is waited for.

        Raises:
            TransientError: the data source does not show it.
        """
        wait_s, waited_s = FIRST_WAIT_S, 0.0
        longest_s = _EFFECT_WAIT_S if result.ending is Ending.UNKNOWN else 0.0
        while True:
            found = find_datasource(self._session, name, project)
            if found is not None and _shows(found, job):
                return found
            if waited_s >= longest_s:
                message = (
                    f"data source {name!r} does not show what job {job.id} published; the next run "
                    "delivers again"
                )
                raise TransientError(message)
            time.sleep(wait_s)
            wait_s, waited_s = wait_s * 2, waited_s + wait_s

    def _confirmed(
        self,
        manifest: Manifest,
        path: str,
        found: TSC.DatasourceItem,
        job: TSC.JobItem,
        how: str,
    ) -> Delivery:
        server, site, project, name = self._place(manifest, path)
        return Delivery(
            sha256=manifest.sha256,
            server=server,
            site=site,
            project=project,
            name=name,
            datasource_id=str(found.id),
            updated_at=stamp(found.updated_at),
            job_id=str(job.id),
            how=how,
            run_id=self._run.run_id,
            at=self._run.now(),
        )

    def _place(self, manifest: Manifest, path: str) -> tuple[str, str, str, str]:
        settings = self._session.settings
        return settings.server_url, settings.site, path, manifest.datasource

    def _project_path(self, manifest: Manifest) -> str:
        own = self._run.settings.datasource(manifest.stream).project
        return own or self._session.settings.project

    def _project(self, path: str) -> TSC.ProjectItem:
        if path not in self._projects:
            self._projects[path] = find_project(self._session, path)
        return self._projects[path]


def _shows(found: TSC.DatasourceItem, job: TSC.JobItem) -> bool:
    """Whether a data source changed since a job was created.

    Both instants are the server's, so its clock may be wrong without harm.
    """
    if found.updated_at is None or job.created_at is None:
        return True
    return bool(found.updated_at >= job.created_at - _CLOCK_GRAIN)


class JobFailedError(TransientError):
    """The server accepted the work and did not get it done."""


class Deliveries:
    """Several deliveries under way at a time, all on one thread."""

    def __init__(self, run: Run) -> None:
        """Begin with none."""
        self._run = run
        self._under_way: deque[tuple[Sealed, UnderWay]] = deque()
        self.done: dict[str, Delivered] = {}
        self.failures: list[PipelineError] = []

    @property
    def hopeless(self) -> bool:
        """Whether the next delivery would fail like one before."""
        return any(isinstance(error, (AuthError, ConfigError)) for error in self.failures)

    def begin(self, extract: Sealed, delivery: UnderWay) -> None:
        """Give the server its work; waits for an earlier delivery where too many are under way."""
        self.finish(leave=_AT_ONCE - 1)
        if not self.hopeless:
            self._go_on(extract, delivery)

    def finish(self, *, leave: int = 0) -> None:
        """Go on until no more than ``leave`` are under way, the oldest first."""
        while len(self._under_way) > leave:
            self._go_on(*self._under_way.popleft())

    def close(self) -> None:
        """End what is under way: told to stop, it goes into the ledger while there is one."""
        for _, delivery in self._under_way:
            delivery.close()

    def _go_on(self, extract: Sealed, delivery: UnderWay) -> None:
        """To the next point of waiting, or to the end."""
        try:
            next(delivery)
        except StopIteration as ended:
            self.done[extract.manifest.stream] = ended.value
        except PipelineError as error:
            name = extract.manifest.datasource
            self._run.logger.warning("%s was not delivered: %s", name, error)
            self.failures.append(error)
        else:
            self._under_way.append((extract, delivery))


def deliver_all(run: Run, session: TableauSession, sealed: list[Sealed]) -> list[Delivered]:
    """Deliver every extract; one data source's failure does not hold up the others.

    Up to ``_AT_ONCE`` jobs are under way on the server at a time: most of a small delivery is
    waiting for a turn there.

    Raises:
        PipelineError: the first failure, after all that was begun has ended. After a refused
            identity or a wrong setting nothing more is begun.
    """
    courier = Courier(run, session)
    with closing(Deliveries(run)) as deliveries:
        for extract in sealed:
            deliveries.begin(extract, courier.deliver(extract))
        deliveries.finish()
    if deliveries.failures:
        raise deliveries.failures[0]
    return [deliveries.done[extract.manifest.stream] for extract in sealed]
