"""The end of a run: judge, load, seal, deliver, and let the STATE out at the right moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from target_tableau_hyper.delivery.deliver import Delivered, deliver_all
from target_tableau_hyper.delivery.outbox import Outbox
from target_tableau_hyper.delivery.parcel import OneStream, Workshop
from target_tableau_hyper.delivery.plan import Decision, Way
from target_tableau_hyper.extract.figures import text
from target_tableau_hyper.failpoints import reach
from target_tableau_hyper.loading import Loader
from target_tableau_hyper.refresh.dependents import Dependents
from target_tableau_hyper.run import TEST_STREAM
from target_tableau_hyper.tableau.projects import find_project
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from target_tableau_hyper.loading import Sealed
    from target_tableau_hyper.run import Run


def finish_run(run: Run, pass_state_on: Callable[[], None]) -> None:
    """Make everything received count.

    Args:
        run: All input is read.
        pass_state_on: Writes the last STATE to stdout.

    Raises:
        IntegrityError: the input is not complete, or an extract is not what it should be.
        PipelineError: whatever else keeps a step from being done; later steps have not begun.
    """
    proved = run.completeness.finish()
    if not proved and run.settings.completeness != "off":
        run.logger.info(
            "completeness could not be proved: the tap sends no figures with its STATE (audit)"
        )
    run.finish_segments()
    _settle_activations(run, proved=proved)
    _record_received(run, proved=proved)
    sealed = Loader(run).load()
    if run.settings.state_after == "sealed":
        _state(run, pass_state_on)
    dependents = Dependents(run)
    delivered = _deliver(run, sealed, dependents)
    _summarise(run, delivered)
    if run.settings.state_after == "delivered":
        for extract in sealed:
            extract.store.settle()
        reach("state.settled")
        _state(run, pass_state_on)
        reach("state.written")
    if TEST_STREAM not in run.streams:
        dependents.refresh(delivered)
    run.ledger.append("run.finished", streams=len(sealed))


def _settle_activations(run: Run, *, proved: bool) -> None:
    """A full read that brought no row empties its table only if it was provably complete."""
    for staged in run.streams.values():
        if staged.empty_activation is None or staged.activated is not None:
            continue
        if proved:
            staged.activated = staged.empty_activation
        else:
            run.logger.info(
                "stream %r: ACTIVATE_VERSION without a record of its version removes nothing, "
                "because the tap does not prove that it read everything",
                staged.stream,
            )


def _record_received(run: Run, *, proved: bool) -> None:
    run.ledger.append(
        "input.received",
        proved=proved,
        streams={
            name: {
                "records": tally.records,
                "deletes": tally.deletes,
                "totals": {column: text(total) for column, total in tally.totals().items()},
            }
            for name, tally in run.completeness.tallies().items()
        },
    )


def _state(run: Run, pass_state_on: Callable[[], None]) -> None:
    pass_state_on()
    run.ledger.append("state.written", after=run.settings.state_after)


def _deliver(run: Run, sealed: list[Sealed], dependents: Dependents) -> list[Delivered]:
    """Deliver what is sealed; a test run only shows that it could."""
    tableau = run.settings.tableau
    if tableau is None:
        with Workshop(run) as workshop:
            return [
                Delivered(
                    OneStream(run, extract, workshop), Decision(Way.NOTHING, "not published"), 0.0
                )
                for extract in sealed
            ]
    testing = not sealed and TEST_STREAM in run.streams
    outbox = Outbox(run, [extract.manifest.stream for extract in sealed])
    if not (sealed or outbox or testing):
        return []
    with TableauSession(tableau, run.logger) as session:
        if testing:
            find_project(session, tableau.project)
            dependents.find(session)
            return []
        dependents.announce(session)
        return deliver_all(run, session, sealed, outbox)


def _summarise(run: Run, delivered: list[Delivered]) -> None:
    """One line for each data source: what an operator wants to know of a run that went well."""
    for item in delivered:
        parcel, delta = item.parcel, item.parcel.delta
        run.logger.info(
            "%s: %s rows, %d inserted, %d updated, %d deleted, %s, %.1f s",
            parcel.name,
            f"{parcel.rows:,}",
            delta.inserted,
            delta.updated,
            delta.deleted,
            f"sent by {item.decision.way.value}"
            if item.decision.way is not Way.NOTHING
            else item.decision.why,
            parcel.seconds + item.seconds,
        )
