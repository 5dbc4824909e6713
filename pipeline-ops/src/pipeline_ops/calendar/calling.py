"""How another scheduler calls the driver: from any folder, with any environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline_ops.calendar.plan import Planned


@dataclass(frozen=True, slots=True)
class Calling:
    """What a call of `calendar run` names.

    All of it is absolute: a driver that looked elsewhere for its record would start everything
    again.

    Attributes:
        command: ``d365fo-tableau``.
        project: Folder of ``meltano.yml``.
        options: Options of `calendar` that say where the files are.
        store: The record among them.
        ledger: The ledger among them.
        periods: The fetched periods, where an option names their place.
    """

    command: Path
    project: Path
    options: tuple[str, ...]
    store: Path
    ledger: Path
    periods: Path | None = None

    def words(self, *flags: str) -> list[str]:
        """The command line."""
        return [str(self.command), "calendar", *self.options, "run", *flags]


def plan_lines(planned: Iterable[Planned]) -> list[str]:
    """The plan as comments."""
    return [
        f"#   {each.due:%Y-%m-%d %H:%M} UTC  {each.rule.at!s:12} {each.key}" for each in planned
    ]
