"""See at the data source itself that a delivery took effect, and that nothing else did since."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline_core.errors import PipelineError, TransientError
from target_tableau_hyper.delivery.stamping import run_of, stamped
from target_tableau_hyper.tableau.datasources import (
    add_tags,
    find_datasource,
    set_description,
    stamp,
)
from target_tableau_hyper.tableau.jobs import FIRST_WAIT_S, Ending

if TYPE_CHECKING:
    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

    from target_tableau_hyper.run import Run
    from target_tableau_hyper.tableau.jobs import JobResult
    from target_tableau_hyper.tableau.session import TableauSession

#: ``updatedAt`` has whole seconds, and so have the job's ``createdAt`` and ``completedAt``.
_CLOCK_GRAIN = timedelta(seconds=1)

#: How long the effect of a purged job, or of a request whose answer was lost, is waited for.
EFFECT_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the server shows after a delivery.

    Attributes:
        datasource_id: LUID of the data source.
        updated_at: Its time of change; empty where it may already be somebody else's, so that the
            next run will not take it for ours.
    """

    datasource_id: str
    updated_at: str


class Witness:
    """Looks at data sources through one session."""

    def __init__(self, run: Run, session: TableauSession) -> None:
        """Use a session that is signed in."""
        self._run = run
        self._session = session

    def description(
        self, about: str | None, published: TSC.DatasourceItem | None, *, as_of: str
    ) -> str | None:
        """What to publish as the description; without settings, what people wrote there stays."""
        text = about
        if text is None and published is not None:
            text = published.description
        if not self._run.settings.delivery.stamp:
            return text
        return stamped(text, as_of=as_of, run_id=self._run.run_id)

    def is_ours(self, published: TSC.DatasourceItem | None) -> bool:
        """Whether the data source says that this run published it."""
        return published is not None and run_of(published.description) == self._run.run_id

    def publication(
        self, name: str, project: TSC.ProjectItem, job: TSC.JobItem, result: JobResult
    ) -> TSC.DatasourceItem:
        """The data source as a publishing job left it.

        Of a purged job nobody can say that it succeeded, so its effect is waited for: this run's
        stamp where it sets one, as a failed job leaves room for somebody else's publication.

        Raises:
            TransientError: the data source does not show it.
        """
        wait_s, waited_s = FIRST_WAIT_S, 0.0
        purged = result.ending is Ending.UNKNOWN
        longest_s = EFFECT_WAIT_S if purged else 0.0
        stamped_by_us = purged and self._run.settings.delivery.stamp
        while True:
            found = find_datasource(self._session, name, project)
            if (
                found is not None
                and _shows(found, job)
                and (not stamped_by_us or self.is_ours(found))
            ):
                return found
            if waited_s >= longest_s:
                message = (
                    f"data source {name!r} does not show what job {job.id} published; the next run "
                    "delivers again"
                )
                raise TransientError(message)
            time.sleep(wait_s)
            wait_s, waited_s = wait_s * 2, waited_s + wait_s

    def adopted(
        self, name: str, project: TSC.ProjectItem, before: TSC.DatasourceItem | None
    ) -> TSC.DatasourceItem | None:
        """The data source, if a publish whose answer was lost turns out to have been done.

        Only the stamp of this run in its description proves that; without one it is published
        again, which does no harm.
        """
        if not self._run.settings.delivery.stamp:
            return None
        wait_s, waited_s = FIRST_WAIT_S, 0.0
        while waited_s < EFFECT_WAIT_S:
            time.sleep(wait_s)
            waited_s, wait_s = waited_s + wait_s, wait_s * 2
            found = find_datasource(self._session, name, project)
            newer = before is None or (
                found is not None and stamp(found.updated_at) != stamp(before.updated_at)
            )
            if found is not None and newer and self.is_ours(found):
                return found
        return None

    def confirm(
        self,
        name: str,
        project: TSC.ProjectItem,
        found: TSC.DatasourceItem,
        result: JobResult | None,
        *,
        before: TSC.DatasourceItem | None,
        said: str | None,
        description: str | None,
    ) -> Confirmed:
        """Finish what a job does not do (tags, description) and note what the server shows.

        Args:
            name: Of the data source.
            project: Where it is.
            found: As it was after the job.
            result: The job's; ``None`` where its answer was lost.
            before: As it was before the delivery.
            said: The description that the job left, where that is known.
            description: What it shall say.
        """
        blind = result is None or result.ending is Ending.UNKNOWN
        strange = said is not None and (found.description or "") != said
        moved = _changed_since(
            found, result, before, grain=timedelta() if strange else _CLOCK_GRAIN
        )
        if moved:
            self._run.logger.warning(
                "%s changed again after its job had ended; the next run publishes it anew", name
            )
        elif blind:
            self._run.logger.info(
                "%s: nobody told when the server was done, so somebody may have changed it since; "
                "the next run publishes it anew",
                name,
            )
        touched = self._decorate(name, found, description)
        if touched:
            found = find_datasource(self._session, name, project) or found
        return Confirmed(str(found.id), "" if moved or blind else stamp(found.updated_at))

    def _decorate(self, name: str, found: TSC.DatasourceItem, description: str | None) -> bool:
        """Tags and description; that they cannot be set does not make data wrong."""
        touched = False
        try:
            missing = set(self._run.settings.delivery.tags) - set(found.tags)
            if missing:
                add_tags(self._session, name, str(found.id), sorted(missing))
                touched = True
            if description is not None and (found.description or "") != description:
                set_description(self._session, name, str(found.id), description)
                touched = True
        except PipelineError as error:
            self._run.logger.warning("%s; its data are up to date all the same", error)
        return touched


def _shows(found: TSC.DatasourceItem, job: TSC.JobItem) -> bool:
    """Whether a data source changed since a job was created.

    Both instants are the server's, so its clock may be wrong without harm.
    """
    if found.updated_at is None or job.created_at is None:
        return True
    return bool(found.updated_at >= job.created_at - _CLOCK_GRAIN)


def _changed_since(
    found: TSC.DatasourceItem,
    result: JobResult | None,
    before: TSC.DatasourceItem | None,
    *,
    grain: timedelta,
) -> bool:
    """Whether a data source changed after the job had ended, by more than ``grain``."""
    if found.updated_at is None or result is None or result.completed_at is None:
        return False
    latest = result.completed_at
    if before is not None and before.updated_at is not None:
        # A server that never gives two changes one time may be ahead of its clock.
        latest = max(latest, before.updated_at + _CLOCK_GRAIN)
    return bool(found.updated_at > latest + grain)
