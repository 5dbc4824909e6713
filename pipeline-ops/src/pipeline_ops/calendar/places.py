"""Where a calendar's files are: as the options say, or else at their places in the project.

A default never depends on the folder that a command is called in: two drivers that were started in
two folders of one project would keep two records, and start every event twice.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.calendar.calling import Calling
from pipeline_ops.calendar.follow import Place
from pipeline_ops.calendar.launch import find_meltano
from pipeline_ops.calendar.load import load_calendar
from pipeline_ops.project import find_project

if TYPE_CHECKING:
    from pipeline_ops.calendar.settings import CloseCalendar

_CALENDAR = Path("close_calendar.yml")

#: Below the project's folder.
DEFAULT_STORE = Path("var/calendar.db")
DEFAULT_LEDGER = Path("var/ledger.db")


@dataclass(frozen=True, slots=True)
class Files:
    """Paths as options and variables give them; ``None`` where they do not.

    Attributes:
        file: ``close_calendar.yml``.
        store: What became of each event.
        ledger: The audit ledger.
        periods: Where the fiscal periods of D365 are kept; the file says it otherwise.
        meltano: The executable.
    """

    file: Path | None
    store: Path | None
    ledger: Path | None
    periods: Path | None
    meltano: Path | None

    def calendar_file(self) -> Path:
        """The calendar: that of this folder before that of the project."""
        if self.file is not None:
            return self.file.absolute()
        return _CALENDAR.absolute() if _CALENDAR.is_file() else _in_project(_CALENDAR)

    def store_file(self) -> Path:
        """The record."""
        return _in_project(DEFAULT_STORE) if self.store is None else self.store.absolute()

    def ledger_file(self) -> Path:
        """The ledger."""
        return _in_project(DEFAULT_LEDGER) if self.ledger is None else self.ledger.absolute()

    def periods_file(self) -> Path | None:
        """Where fetched periods are kept, where that is not left to the calendar."""
        return None if self.periods is None else self.periods.absolute()

    def executable(self) -> Path:
        """Meltano."""
        return find_meltano() if self.meltano is None else self.meltano.absolute()

    def load(self) -> CloseCalendar:
        """The calendar, read."""
        return load_calendar(self.calendar_file(), periods_file=self.periods_file())

    def place(self) -> Place:
        """All of them, for a driver.

        Raises:
            ConfigError: this folder lies in no project.
        """
        return Place(
            self.calendar_file(),
            find_project(Path.cwd()),
            self.store_file(),
            self.ledger_file(),
            self.executable(),
            self.periods_file(),
        )

    def calling(self) -> Calling:
        """A call of this command with the same files, from any folder and in any environment.

        Raises:
            ConfigError: this folder lies in no project.
        """
        store, ledger, periods = self.store_file(), self.ledger_file(), self.periods_file()
        options = {"--file": self.calendar_file(), "--store": store, "--ledger": ledger}
        if periods is not None:
            options["--periods-file"] = periods
        if self.meltano is not None:
            options["--meltano"] = self.executable()
        return Calling(
            Path(sys.argv[0]).resolve(),
            find_project(Path.cwd()),
            tuple(word for option in options.items() for word in map(str, option)),
            store,
            ledger,
            periods,
        )


def _in_project(path: Path) -> Path:
    """``path`` below the project's folder; below this one where there is no project."""
    try:
        return find_project(Path.cwd()) / path
    except ConfigError:
        return path.absolute()
