"""The end of a run: judge, load, seal, deliver, and let the STATE out at the right moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from target_tableau_hyper.loading import Loader

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
    _summarise(run, sealed)
    if run.settings.state_after == "delivered":
        _state(run, pass_state_on)
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
            name: {"records": tally.records, "deletes": tally.deletes}
            for name, tally in run.completeness.tallies().items()
        },
    )


def _state(run: Run, pass_state_on: Callable[[], None]) -> None:
    pass_state_on()
    run.ledger.append("state.written", after=run.settings.state_after)


def _summarise(run: Run, sealed: list[Sealed]) -> None:
    for extract in sealed:
        delta = extract.delta
        run.logger.info(
            "%s: %d rows (+%d ~%d -%d), %.1f s",
            extract.manifest.datasource,
            extract.manifest.rows,
            delta.inserted,
            delta.updated,
            delta.deleted,
            extract.seconds,
        )
    _ = time
