"""Contoso's data: deterministic by seed and scale, alive by ``advance``."""

from __future__ import annotations

from contoso_sandbox.world.advance import AdvanceSummary
from contoso_sandbox.world.world import StaleWorldError, World

__all__ = ["AdvanceSummary", "StaleWorldError", "World"]
