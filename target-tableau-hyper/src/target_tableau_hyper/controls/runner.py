"""Run the controls that a run concerns, and say how each came out."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.controls.finding import Finding, Outcome, Result
from target_tableau_hyper.controls.look import closest

if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping, Sequence

    from pipeline_core.ledger import Ledger, NoLedger
    from target_tableau_hyper.controls.look import Look
    from target_tableau_hyper.controls.settings import Control
    from target_tableau_hyper.extract.manifest import Manifest


class ControlRun:
    """The controls of one run."""

    def __init__(
        self,
        look: Look,
        *,
        brought: Mapping[str, Manifest | None],
        known: Sequence[str],
        ledger: Ledger | NoLedger,
        logger: logging.Logger,
        now: str,
        run_id: str,
    ) -> None:
        """Prepare.

        Args:
            look: The tables.
            brought: Streams of this run, with the seal that each had before.
            known: All streams of which there is an extract, for messages.
            ledger: Where each result is recorded.
            logger: Where each is told.
            now: ISO instant.
            run_id: This run.
        """
        self._look = look
        self._brought = brought
        self._known = known
        self._ledger = ledger
        self._logger = logger
        self._now = now
        self._run_id = run_id

    def check(self, controls: Sequence[Control]) -> dict[str, list[dict[str, Any]]]:
        """Run every control that concerns a stream of this run.

        Returns:
            Results by stream, as manifests hold them.

        Raises:
            IntegrityError: one that must pass did not, after all have been looked at.
            ConfigError: one names what does not exist.
        """
        results: dict[str, list[dict[str, Any]]] = {stream: [] for stream in self._brought}
        failures = []
        for control in controls:
            about = control.check.streams[0]
            if not self._look.knows(about):
                self._tell_unknown(control, about)
                continue
            if self._brought.keys().isdisjoint(control.check.streams):
                continue
            result = self._earlier(control) or self._run(control)
            for stream in control.check.streams:
                if stream in results:
                    results[stream].append(asdict(result))
            if result.outcome == Outcome.FAILED:
                failures.append(f"control {result.name!r} failed: {result.saying}")
        if failures:
            message = f"{'. '.join(failures)}. Nothing was replaced or published"
            raise IntegrityError(message)
        return results

    def _run(self, control: Control) -> Result:
        finding = self._finding(control)
        outcome = Outcome.PASSED
        if finding.found:
            outcome = Outcome.FAILED if control.must_pass else Outcome.WARNED
        result = Result(
            control.name,
            control.kind,
            outcome,
            finding.checked,
            finding.found,
            finding.saying,
            finding.examples,
            self._now,
            self._run_id,
            control.definition,
            self._states(control),
        )
        tell = self._logger.info if outcome is Outcome.PASSED else self._logger.warning
        tell("control %r %s: %s", control.name, outcome.value, finding.saying)
        self._ledger.append("control.checked", streams=control.check.streams, **asdict(result))
        return result

    def _finding(self, control: Control) -> Finding:
        missing = [stream for stream in control.check.streams if not self._look.knows(stream)]
        if missing:
            hint = closest(missing[0], dict.fromkeys(self._known))
            names = " and ".join(missing)
            saying = f"it cannot be checked, because there is no extract of {names}{hint}"
            return Finding(0, 1, saying)
        try:
            return control.check.check(self._look)
        except ConfigError as error:
            message = f"control {control.name!r}: {error}"
            raise ConfigError(message) from error

    def _earlier(self, control: Control) -> Result | None:
        """The result of an earlier run, where nothing that it looked at has changed since."""
        if any(map(self._look.changed, control.check.streams)):
            return None
        states = self._states(control)
        for stream in control.check.streams:
            before = self._brought.get(stream)
            for result in before.controls if before is not None else ():
                earlier = Result(**result)
                if (
                    earlier.name == control.name
                    and earlier.definition == control.definition
                    and earlier.looked_at == states
                    and earlier.outcome == Outcome.PASSED
                ):
                    return earlier
        return None

    def _states(self, control: Control) -> dict[str, str]:
        """Which state of each stream the control looks at."""
        known = filter(self._look.knows, control.check.streams)
        return {stream: self._look.book(stream).state(self._run_id) for stream in known}

    def _tell_unknown(self, control: Control, stream: str) -> None:
        """A table that was never loaded has nothing wrong; but a slip of the pen is to be seen."""
        if stream in self._known:
            return
        hint = closest(stream, dict.fromkeys(self._known))
        tell = self._logger.warning if hint else self._logger.info
        tell(
            "control %r looks at stream %r, of which there is no extract%s",
            *(control.name, stream, hint),
        )
