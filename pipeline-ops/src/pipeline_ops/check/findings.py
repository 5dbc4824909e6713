"""What a check found, and the list that collects it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pipeline_core.errors import (
    AuthError,
    BusyError,
    ConfigError,
    DataError,
    IntegrityError,
    PipelineError,
    TransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Verdict(StrEnum):
    """How one check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row.

    Attributes:
        area: ``settings``, ``D365``, ``Tableau`` or ``machine``.
        subject: What was looked at.
        found: What there is, as a clause.
        todo: What to do; empty where nothing is.
        exit_code: Of the taxonomy, for a failure.
    """

    area: str
    subject: str
    verdict: Verdict
    found: str
    todo: str = ""
    exit_code: int = 0


_KINDS: dict[int, type[PipelineError]] = {
    kind.exit_code: kind
    for kind in (AuthError, BusyError, ConfigError, DataError, IntegrityError, TransientError)
}


@dataclass(slots=True)
class Checklist:
    """Collects findings; ``on_finding`` hears of each at once."""

    on_finding: Callable[[Finding], None] = lambda _: None
    findings: list[Finding] = field(default_factory=list)

    def ok(self, area: str, subject: str, found: str) -> None:
        """Note what is as it should be."""
        self._add(Finding(area, subject, Verdict.OK, found))

    def warn(self, area: str, subject: str, found: str, todo: str) -> None:
        """Note what a run gets by with."""
        self._add(Finding(area, subject, Verdict.WARNING, found, todo))

    def fail(self, area: str, subject: str, error: PipelineError) -> None:
        """Note what a run would fail of; our messages say what is wrong, then what to do."""
        found, _, todo = " ".join(str(error).split()).partition("; ")
        self._add(Finding(area, subject, Verdict.FAILED, found, todo, error.exit_code))

    @contextmanager
    def part(self, area: str, subject: str) -> Iterator[None]:
        """A step on which others depend: its failure is noted, and ends the caller's block.

        Raises:
            StopChecking: it failed.
        """
        try:
            yield
        except PipelineError as error:
            self.fail(area, subject, error)
            raise StopCheckingError from error

    @contextmanager
    def trying(self, area: str, subject: str) -> Iterator[None]:
        """A step of its own: its failure is noted, and the next one goes on."""
        try:
            yield
        except PipelineError as error:
            self.fail(area, subject, error)

    def conclusion(self) -> PipelineError | None:
        """What to end with: the first failure that a person must see to, else the first.

        ``None`` where nothing failed.
        """
        failed = [f for f in self.findings if f.verdict is Verdict.FAILED]
        if not failed:
            return None
        first = next((f for f in failed if f.exit_code != TransientError.exit_code), failed[0])
        todo = f"; {first.todo}" if first.todo else ""
        message = (
            f"{len(failed)} of {len(self.findings)} checks failed; first see to {first.area}, "
            f"{first.subject}: {first.found}{todo}"
        )
        return _KINDS.get(first.exit_code, PipelineError)(message)

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.on_finding(finding)


class StopCheckingError(Exception):
    """What follows depends on what failed."""
