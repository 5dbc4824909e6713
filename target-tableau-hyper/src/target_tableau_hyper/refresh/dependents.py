"""The refreshes at the end of a run: found before the delivery, done after it.

The order makes three promises. A name that the site does not have ends the run before anything is
delivered. Nothing is refreshed unless everything was delivered. And the STATE goes out before the
refresh, because the data are safe by then: a refresh that fails ends the run with an error all the
same, is remembered, and is repeated by the next run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import PipelineError, TransientError
from target_tableau_hyper.delivery.plan import Way
from target_tableau_hyper.refresh.find import find_all
from target_tableau_hyper.refresh.pending import PendingRefreshes
from target_tableau_hyper.refresh.refresher import Refresher
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_tableau_hyper.delivery.deliver import Delivered
    from target_tableau_hyper.refresh.find import Refreshable
    from target_tableau_hyper.refresh.settings import Entry
    from target_tableau_hyper.run import Run
    from target_tableau_hyper.settings import TableauSettings


class Dependents:
    """What one run refreshes."""

    def __init__(self, run: Run) -> None:
        """Nothing is asked or written yet."""
        self._run = run
        self._settings = run.settings.refresh
        self._found: list[Refreshable] | None = None
        self._left: list[Entry] = []

    def find(self, session: TableauSession) -> None:
        """Look everything up.

        Raises:
            ConfigError: the site does not have one of them.
        """
        if self._settings.entries:
            self._found = find_all(session, self._settings.entries)

    def announce(self, session: TableauSession) -> None:
        """Look everything up, and note that it is due, before anything is delivered.

        Raises:
            ConfigError: the site does not have one of them.
        """
        if self._settings.entries:
            self.find(session)
            pending = self._pending(session.settings)
            self._left = pending.among(self._settings.entries)
            pending.keep(item.entry for item in self._found or ())

    def refresh(self, delivered: Sequence[Delivered]) -> None:
        """Refresh what is due; everything was delivered.

        Raises:
            PipelineError: something was not refreshed; it is remembered for the next run.
        """
        tableau = self._run.settings.tableau
        if not self._settings.entries or tableau is None:
            return
        pending = self._pending(tableau)
        due = self._due(delivered, pending)
        if not due:
            pending.keep(())
            self._run.logger.info("nothing was delivered, so nothing is refreshed")
            return
        with TableauSession(tableau, self._run.logger) as session:
            found = self._found if self._found is not None else find_all(session, due)
            left = {item.id: item for item in found if item.entry in due}
            pending.keep(item.entry for item in left.values())

            def settled(item: Refreshable) -> None:
                del left[item.id]
                pending.keep(item.entry for item in left.values())

            try:
                Refresher(
                    session,
                    self._run.ledger,
                    self._run.logger,
                    wait=self._settings.wait,
                    timeout_s=self._settings.timeout_s or tableau.job_timeout_s,
                    settled=settled,
                ).refresh(list(left.values()))
            except PipelineError as error:
                raise _told(error) from error

    def _due(self, delivered: Sequence[Delivered], pending: PendingRefreshes) -> list[Entry]:
        changed = any(item.decision.way is not Way.NOTHING for item in delivered)
        if changed or not self._settings.only_when_changed:
            return list(self._settings.entries)
        return self._left if self._found is not None else pending.among(self._settings.entries)

    def _pending(self, tableau: TableauSettings) -> PendingRefreshes:
        return PendingRefreshes(self._run.settings.output_dir.resolve(), tableau)


def _told(error: PipelineError) -> PipelineError:
    """The failure with what it means for the run."""
    message = f"everything is delivered, but {error}; the next run refreshes again"
    if isinstance(error, TransientError):
        return TransientError(message, retry_at=error.retry_at)
    return type(error)(message)
