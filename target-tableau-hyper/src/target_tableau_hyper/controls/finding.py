"""What a control finds, and what stands of it in manifests and ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """How a control came out; ``NOT_CHECKED``: what it is about was never loaded."""

    PASSED = "passed"
    FAILED = "failed"
    WARNED = "warned"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a control saw.

    Attributes:
        checked: Things that were looked at.
        found: Those of them that are wrong.
        saying: What was looked at and what is wrong, as the rest of a sentence; names keys and no
            other values.
        examples: The first that are wrong, for manifest and ledger.
    """

    checked: int
    found: int
    saying: str
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """One control in one run, as a manifest holds it.

    Attributes:
        name: In the settings.
        kind: ``balance`` and so on.
        outcome: How it came out.
        checked, found, examples: See :class:`Finding`.
        saying: See :class:`Finding`.
        at: ISO instant.
        run_id: The run that checked; where nothing changed since, an earlier one.
        definition: Hash of the control's settings: with others it is checked anew.
        looked_at: Which state of each stream it saw, see :meth:`look.Book.state`; likewise.
    """

    name: str
    kind: str
    outcome: str
    checked: int
    found: int
    saying: str
    examples: list[dict[str, Any]]
    at: str
    run_id: str
    definition: str
    looked_at: dict[str, str] = field(default_factory=dict)
