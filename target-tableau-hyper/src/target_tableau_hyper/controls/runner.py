"""Run the controls that a run concerns, and say how each came out."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, IntegrityError
from target_tableau_hyper.controls.finding import Finding, Outcome, Result
from target_tableau_hyper.controls.look import closest

if TYPE_CHECKING:
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
        aside: Mapping[str, str],
        ledger: Ledger | NoLedger,
        logger: logging.Logger,
        now: str,
        run_id: str,
    ) -> None:
        """Prepare.

        Args:
            look: The tables.
            brought: Streams of this run, with the seal that each had before.
            known: All streams of which there is an extract, or will be.
            aside: By stream, how many records this run set aside instead of storing, and where.
            ledger: Where each result is recorded.
            logger: Where each is told.
            now: ISO instant.
            run_id: This run.
        """
        self._look = look
        self._brought = brought
        self._known = dict.fromkeys(known)
        self._aside = aside
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
        failures: list[str] = []
        failed_streams: set[str] = set()
        for control in controls:
            if self._known.keys().isdisjoint(control.check.about):
                result = self._leave(control)
            elif self._brought.keys().isdisjoint(control.check.streams):
                continue
            else:
                result = self._earlier(control) or self._run(control)
            for stream in control.check.streams:
                if stream in results:
                    results[stream].append(asdict(result))
            if result.outcome == Outcome.FAILED:
                failures.append(f"control {result.name!r} failed: {result.saying}")
                failed_streams.update(control.check.streams)
        if failures:
            aside = [told for stream, told in self._aside.items() if stream in failed_streams]
            if aside:
                failures.append(
                    f"Records that do not fit are not among these rows: {', '.join(aside)}"
                )
            message = f"{'. '.join(failures)}. Nothing was replaced or published"
            raise IntegrityError(message)
        return results

    def _run(self, control: Control) -> Result:
        finding = self._finding(control)
        outcome = Outcome.PASSED
        if finding.found:
            outcome = Outcome.FAILED if control.must_pass else Outcome.WARNED
        level = logging.INFO if outcome is Outcome.PASSED else logging.WARNING
        return self._told(control, finding, outcome, level)

    def _leave(self, control: Control) -> Result:
        """What was never loaded has nothing wrong; but a slip of the pen is to be seen."""
        about = control.check.about
        hint = self._hint(about)
        names = f"stream{'s' if len(about) > 1 else ''} {' and '.join(map(repr, about))}"
        saying = f"it looks at {names}, of which there is no extract{hint}"
        level = logging.WARNING if hint else logging.INFO
        return self._told(control, Finding(0, 0, saying), Outcome.NOT_CHECKED, level)

    def _told(self, control: Control, finding: Finding, outcome: Outcome, level: int) -> Result:
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
        words = outcome.value.replace("_", " ")
        self._logger.log(level, "control %r %s: %s", control.name, words, finding.saying)
        self._ledger.append("control.checked", streams=control.check.streams, **asdict(result))
        return result

    def _finding(self, control: Control) -> Finding:
        missing = [stream for stream in control.check.streams if not self._look.knows(stream)]
        if missing:
            names = " and ".join(missing)
            saying = (
                f"it cannot be checked, because there is no extract of {names}{self._hint(missing)}"
            )
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

    def _hint(self, streams: Sequence[str]) -> str:
        """What the first of these that resembles anything may have been meant to be."""
        return next(filter(None, (closest(name, self._known) for name in streams)), "")
