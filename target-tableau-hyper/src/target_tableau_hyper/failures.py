"""Several things went wrong side by side: which of them a run ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import PipelineError, TransientError

if TYPE_CHECKING:
    from collections.abc import Sequence


def worst(failures: Sequence[PipelineError]) -> PipelineError:
    """What a person must see to goes before what may pass by itself; else the first."""
    return next((e for e in failures if not isinstance(e, TransientError)), failures[0])
