"""Bring sealed extracts to Tableau, and note what Tableau confirmed.

A delivery counts when its job has succeeded and the data source shows it. Until then the manifest
keeps the former delivery, so a run that dies in between is made good by the next one.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from pipeline_core.errors import AuthError, ConfigError, PipelineError
from target_tableau_hyper.delivery.confirm import Confirmed, Witness
from target_tableau_hyper.delivery.form import BARE, HYPER, attempt_of, choose_form
from target_tableau_hyper.delivery.gather import gather
from target_tableau_hyper.delivery.in_flight import InFlight
from target_tableau_hyper.delivery.parcel import OneStream, SeveralStreams, Workshop
from target_tableau_hyper.delivery.plan import Decision, Situation, Way, decide
from target_tableau_hyper.delivery.publish import start_publish
from target_tableau_hyper.delivery.refusal import JobFailedError, Refusal, refusal_of
from target_tableau_hyper.delivery.update import request_id, start_update
from target_tableau_hyper.extract.manifest import Delivery
from target_tableau_hyper.failpoints import reach
from target_tableau_hyper.failures import worst
from target_tableau_hyper.tableau.datasources import find_datasource, stamp
from target_tableau_hyper.tableau.jobs import Ending, JobResult, wait_for_job
from target_tableau_hyper.tableau.projects import find_project

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from target_tableau_hyper.delivery.form import Form
    from target_tableau_hyper.delivery.outbox import Outbox
    from target_tableau_hyper.delivery.parcel import Parcel
    from target_tableau_hyper.extract.manifest import Manifest
    from target_tableau_hyper.loading import Sealed
    from target_tableau_hyper.run import Run
    from target_tableau_hyper.settings_datasources import CombinedSettings
    from target_tableau_hyper.tableau.session import TableauSession

#: Jobs of ours on the server at a time. A site runs ten or more at once, and others want theirs.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of one data source."""

    parcel: Parcel
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
        self._witness = Witness(run, session)
        self._in_flight = InFlight(run.settings.output_dir.resolve())
        self._projects: dict[str, TSC.ProjectItem] = {}

    def deliver(self, parcel: Parcel) -> UnderWay:
        """Deliver one data source, if it must be, and record it in manifest and ledger.

        Yields when the server has been given work: others can be given theirs meanwhile.

        Raises:
            PipelineError: it was not delivered; the manifest says so.
        """
        started = time.monotonic()
        path = parcel.project or self._session.settings.project
        project = self._project(path)
        self._await_former(parcel, path)
        published = find_datasource(self._session, parcel.name, project)
        form, attempt = self._form(parcel)
        decision = self._decide(parcel, form, path, published)
        if decision.way is Way.NOTHING:
            self._run.ledger.append(
                "delivery.skipped",
                datasource=parcel.name,
                why=decision.why,
                rows=parcel.rows,
                sha256=parcel.sha256,
            )
            return Delivered(parcel, decision, time.monotonic() - started)
        self._run.logger.info("%s: %s, because %s", parcel.name, decision.way.value, decision.why)
        refused = parcel.package_refused
        if decision.way is Way.UPDATE and published is not None:
            try:
                delivery = yield from self._update(parcel, form, path, project, published)
            except JobFailedError as error:
                self._run.logger.warning("%s; publishing the whole extract instead", error)
                decision = Decision(Way.OVERWRITE, "the update's job failed")
                published = find_datasource(self._session, parcel.name, project)
                delivery, refused = yield from self._overwrite(
                    parcel, form, path, project, published, attempt=attempt
                )
        else:
            delivery, refused = yield from self._overwrite(
                parcel, form, path, project, published, attempt=attempt
            )
        parcel.confirm(delivery, package_refused=refused)
        reach("delivery.confirmed")
        return Delivered(parcel, decision, time.monotonic() - started)

    def _await_former(self, parcel: Parcel, path: str) -> None:
        """See the job of a run that died end: what it does late would be done on top of ours."""
        job_id = self._in_flight.job(self._place(parcel, path))
        if job_id is None:
            return
        self._run.logger.info(
            "%s: job %s is of a run that did not see it end, and is waited for", parcel.name, job_id
        )
        self._see_end(job_id, parcel, path)

    def _form(self, parcel: Parcel) -> tuple[Form, str]:
        """How the data source shall travel, and what the server would refuse in that."""
        description = parcel.describe()
        if description.unknown:
            self._run.logger.info(
                "%s: folders name %s, which is no field or not only one",
                parcel.name,
                ", ".join(map(repr, description.unknown)),
            )
        attempt = attempt_of(
            description,
            server_url=self._session.settings.server_url,
            api_version=str(self._session.server.version),
        )
        form = choose_form(
            self._run.settings.package,
            description,
            refused=parcel.package_refused,
            attempt=attempt,
        )
        if form.why:
            self._run.logger.info("%s: only the bare file, because %s", parcel.name, form.why)
        return form, attempt

    def _decide(
        self, parcel: Parcel, form: Form, path: str, published: TSC.DatasourceItem | None
    ) -> Decision:
        last = parcel.delivered
        here = (
            last is not None
            and published is not None
            and last.datasource_id == published.id
            and (last.server, last.site, last.project, last.name) == self._place(parcel, path)
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
                sha=parcel.sha256,
                base_sha=parcel.base_sha256,
                changed_rows=parcel.delta.rows,
                total_rows=parcel.rows,
                payload_bytes=parcel.payload_bytes,
                limit_bytes=self._run.settings.delivery.update_limit_bytes,
                schema_changed=parcel.delta.schema_changed,
                replaced=parcel.delta.replaced,
                untouched=untouched,
                redressed=here and last is not None and last.package != form.fingerprint,
            )
        )

    def _overwrite(
        self,
        parcel: Parcel,
        form: Form,
        path: str,
        project: TSC.ProjectItem,
        published: TSC.DatasourceItem | None,
        *,
        attempt: str,
    ) -> Generator[None, None, tuple[Delivery, str | None]]:
        """Publish the whole data source; one whose package is refused goes as the bare file.

        Returns:
            What was confirmed, and the attempt at a package not to make again.
        """
        if form.document is None:
            delivery = yield from self._publish(parcel, form, path, project, published)
            return delivery, parcel.package_refused
        try:
            delivery = yield from self._publish(parcel, form, path, project, published)
        except PipelineError as error:
            refusal = refusal_of(error)
            if refusal is Refusal.NONE:
                raise
            reason = error
        else:
            return delivery, None
        delivery = yield from self._publish(parcel, BARE, path, project, published)
        self._run.logger.warning(
            "data source %r: the server did not take its package (.tdsx), so the bare .hyper file "
            "is published, without captions, descriptions and folders; set package to hyper if "
            "that is right (%s)",
            parcel.name,
            reason,
        )
        # What was taken before will be taken again: then a failed job says nothing of packages.
        taken_before = parcel.delivered is not None and parcel.delivered.package != HYPER
        lasting = refusal is Refusal.CERTAIN or not taken_before
        return delivery, attempt if lasting else None

    def _publish(
        self,
        parcel: Parcel,
        form: Form,
        path: str,
        project: TSC.ProjectItem,
        published: TSC.DatasourceItem | None,
    ) -> Generator[None, None, Delivery]:
        description = self._witness.description(parcel.about, published, as_of=parcel.as_of)
        with self._run.ledger.effect(
            "delivery", **self._told(parcel, path), way="overwrite", package=form.kind
        ) as effect:
            reach("delivery.intent")
            file = parcel.hyper() if form.document is None else parcel.package(form.document)
            started = start_publish(
                self._session,
                file,
                name=parcel.name,
                project=project,
                description=description,
                kind=form.kind,
                adopted=partial(self._witness.adopted, parcel.name, project, published),
            )
            if isinstance(started, TSC.JobItem):
                self._in_flight.began(self._place(parcel, path), str(started.id))
            reach("delivery.sent")
            yield
            if isinstance(started, TSC.JobItem):
                result: JobResult | None = self._wait(started, parcel, path)
                assert result is not None  # noqa: S101 - for the type checker
                found = self._witness.publication(parcel.name, project, started, result)
            else:
                result, found = None, started
            reach("delivery.job")
            confirmed = self._witness.confirm(
                *(parcel.name, project, found, result),
                before=published,
                said=description,
                description=description,
            )
            job_id = result.job_id if result is not None else ""
            delivery = self._delivery(
                parcel, confirmed, job_id, form=form, path=path, how="overwrite"
            )
            effect.verified(
                job_id=delivery.job_id,
                datasource_id=delivery.datasource_id,
                updated_at=delivery.updated_at,
            )
        return delivery

    def _update(
        self,
        parcel: Parcel,
        form: Form,
        path: str,
        project: TSC.ProjectItem,
        published: TSC.DatasourceItem,
    ) -> Generator[None, None, Delivery]:
        request = request_id(self._run.run_id, parcel.sha256)
        description = self._witness.description(parcel.about, published, as_of=parcel.as_of)
        with self._run.ledger.effect(
            "delivery", **self._told(parcel, path), way="update", request_id=request
        ) as effect:
            reach("delivery.intent")
            payload, steps = parcel.update()
            job = start_update(
                self._session,
                str(published.id),
                payload,
                steps,
                request=request,
                name=parcel.name,
            )
            self._in_flight.began(self._place(parcel, path), str(job.id))
            reach("delivery.sent")
            yield
            result = self._wait(job, parcel, path)
            if result.ending is Ending.UNKNOWN:
                message = f"job {job.id} was purged before it could be seen to succeed"
                raise JobFailedError(message)
            found = find_datasource(self._session, parcel.name, project)
            if found is None:
                message = f"data source {parcel.name!r} is gone after its update"
                raise JobFailedError(message)
            if (found.description or "") != (published.description or ""):
                # An update leaves it alone, a publish of ours never does: the rows may have come
                # into somebody else's table.
                message = f"data source {parcel.name!r} was published anew before its update"
                raise JobFailedError(message)
            reach("delivery.job")
            confirmed = self._witness.confirm(
                *(parcel.name, project, found, result),
                before=published,
                said=published.description or "",
                description=description,
            )
            delivery = self._delivery(
                parcel, confirmed, result.job_id, form=form, path=path, how="update"
            )
            effect.verified(
                job_id=delivery.job_id,
                datasource_id=delivery.datasource_id,
                updated_at=delivery.updated_at,
            )
        return delivery

    def _wait(self, job: TSC.JobItem, parcel: Parcel, path: str) -> JobResult:
        """Wait for a job to end well.

        Raises:
            JobFailedError: it failed or was cancelled.
        """
        result = self._see_end(str(job.id), parcel, path)
        if result.ending in {Ending.FAILED, Ending.CANCELLED}:
            notes = result.notes or "the server gives no reason"
            message = (
                f"data source {parcel.name!r}: job {result.job_id} {result.ending.value} on the "
                f"server ({notes}); the next run delivers again"
            )
            raise JobFailedError(message, cancelled=result.ending is Ending.CANCELLED)
        return result

    def _see_end(self, job_id: str, parcel: Parcel, path: str) -> JobResult:
        """Wait for a job, however it ends, and forget it then."""
        result = wait_for_job(
            self._session,
            job_id,
            what=parcel.name,
            timeout_s=self._session.settings.job_timeout_s,
            logger=self._run.logger,
        )
        self._in_flight.ended(self._place(parcel, path))
        return result

    def _delivery(
        self,
        parcel: Parcel,
        confirmed: Confirmed,
        job_id: str,
        *,
        form: Form,
        path: str,
        how: str,
    ) -> Delivery:
        server, site, project, name = self._place(parcel, path)
        return Delivery(
            sha256=parcel.sha256,
            server=server,
            site=site,
            project=project,
            name=name,
            datasource_id=confirmed.datasource_id,
            updated_at=confirmed.updated_at,
            job_id=job_id,
            how=how,
            run_id=self._run.run_id,
            at=self._run.now(),
            package=form.fingerprint,
        )

    def _told(self, parcel: Parcel, path: str) -> dict[str, object]:
        """What the ledger says of a delivery before it begins."""
        server, site, project, name = self._place(parcel, path)
        return {
            "datasource": name,
            "project": project,
            "site": site,
            "server": server,
            "streams": parcel.streams,
            "rows": parcel.rows,
            "sha256": parcel.sha256,
        }

    def _place(self, parcel: Parcel, path: str) -> tuple[str, str, str, str]:
        settings = self._session.settings
        return settings.server_url, settings.site, path, parcel.name

    def _project(self, path: str) -> TSC.ProjectItem:
        if path not in self._projects:
            self._projects[path] = find_project(self._session, path)
        return self._projects[path]


class Deliveries:
    """Several deliveries under way at a time, all on one thread."""

    def __init__(self, run: Run) -> None:
        """Begin with none."""
        self._run = run
        self._under_way: deque[tuple[Parcel, UnderWay]] = deque()
        self.done: list[Delivered] = []
        self.failures: list[PipelineError] = []

    @property
    def hopeless(self) -> bool:
        """Whether the next delivery would fail like one before."""
        return any(isinstance(error, (AuthError, ConfigError)) for error in self.failures)

    def begin(self, parcel: Parcel, delivery: UnderWay) -> None:
        """Give the server its work; waits for an earlier delivery where too many are under way."""
        self.finish(leave=_AT_ONCE - 1)
        if not self.hopeless:
            self._go_on(parcel, delivery)

    def finish(self, *, leave: int = 0) -> None:
        """Go on until no more than ``leave`` are under way, the oldest first."""
        while len(self._under_way) > leave:
            self._go_on(*self._under_way.popleft())

    def close(self) -> None:
        """End what is under way: told to stop, it goes into the ledger while there is one."""
        for _, delivery in self._under_way:
            delivery.close()

    def fail(self, name: str, error: PipelineError) -> None:
        """Note what was not delivered."""
        self._run.logger.warning("%s was not delivered: %s", name, error)
        self.failures.append(error)

    def _go_on(self, parcel: Parcel, delivery: UnderWay) -> None:
        """To the next point of waiting, or to the end."""
        try:
            next(delivery)
        except StopIteration as ended:
            self.done.append(ended.value)
        except PipelineError as error:
            self.fail(parcel.name, error)
        else:
            self._under_way.append((parcel, delivery))


def deliver_all(
    run: Run, session: TableauSession, sealed: list[Sealed], outbox: Outbox | None = None
) -> list[Delivered]:
    """Deliver every data source; one's failure does not hold up the others.

    What earlier runs did not get delivered goes along, where an ``outbox`` is given.

    Up to ``_AT_ONCE`` jobs are under way on the server at a time: most of a small delivery is
    waiting for a turn there. Data sources of several streams come last.

    Raises:
        PipelineError: the first failure that a person must see to, else the first; after all that
            was begun has ended. After a refused identity or a wrong setting nothing more is begun.
    """
    with Workshop(run) as workshop, closing(Deliveries(run)) as deliveries:
        dispatch = _Dispatch(run, Courier(run, session), workshop, deliveries)
        for extract in sealed:
            dispatch.one(extract)
        if outbox is not None:
            for stem, manifest in outbox.extracts:
                dispatch.pending(outbox, stem, manifest)
        brought = {extract.manifest.stream: extract for extract in sealed}
        for settings in run.settings.datasources.combined.values():
            waits = outbox is not None and settings in outbox.combined
            if waits or not brought.keys().isdisjoint(settings.tables):
                dispatch.several(settings, brought)
        deliveries.finish()
    if deliveries.failures:
        raise worst(deliveries.failures)
    return deliveries.done


@dataclass(frozen=True, slots=True)
class _Dispatch:
    """Hands parcels to the courier; what cannot be made a parcel of counts as not delivered."""

    run: Run
    courier: Courier
    workshop: Workshop
    deliveries: Deliveries

    def one(self, extract: Sealed) -> None:
        """The data source of one stream, where it has one of its own."""
        if self.run.settings.datasources.is_published_alone(extract.manifest.stream):
            parcel = OneStream(self.run, extract, self.workshop)
            self.deliveries.begin(parcel, self.courier.deliver(parcel))

    def pending(self, outbox: Outbox, stem: str, manifest: Manifest) -> None:
        """What an earlier run sealed and did not deliver."""
        try:
            extract = outbox.open(stem, manifest)
        except PipelineError as error:
            self.deliveries.fail(manifest.datasource, error)
            return
        if extract is not None:
            self.run.logger.info(
                "%s: the delivery of run %s is made up for", manifest.datasource, manifest.run_id
            )
            self.one(extract)

    def several(self, settings: CombinedSettings, brought: Mapping[str, Sealed]) -> None:
        """A data source of several streams."""
        try:
            combined = gather(self.run, settings, brought)
        except PipelineError as error:
            self.deliveries.fail(settings.name, error)
            return
        if combined is not None:
            parcel = SeveralStreams(self.run, combined, self.workshop)
            self.deliveries.begin(parcel, self.courier.deliver(parcel))
