"""Control ``sql``: any query that must return no row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tableauhyperapi import HyperException  # type: ignore[import-untyped, unused-ignore]

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.finding import Finding

if TYPE_CHECKING:
    from target_tableau_hyper.controls.look import Look

#: ``{VendorsV2}``, ``{my stream}``: a stream's table.
_PLACE = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True, slots=True)
class Sql:
    """A query without result.

    Attributes:
        query: A SELECT in Hyper's SQL; ``{stream}`` stands for a stream's table.
    """

    query: str

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""
        return tuple(dict.fromkeys(_PLACE.findall(self.query)))

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return self.streams

    def check(self, look: Look) -> Finding:
        """Run it as part of a larger query, so that it can do nothing but select.

        Raises:
            ConfigError: hyperd does not understand it.
        """
        with look.tables(*self.streams) as (database, names):
            query = _PLACE.sub(lambda place: names[place[1]], self.query.strip().rstrip(";"))
            try:
                found = int(database.row(f"SELECT count(*) FROM ({query}) q")[0])  # noqa: S608 - the operator's own
            except HyperException as error:
                message = f"hyperd does not understand the query: {str(error.main_message)[:300]}"
                raise ConfigError(message) from error
        looked = " and ".join(self.streams)
        if not found:
            return Finding(1, 0, f"no row of {looked} is against it")
        return Finding(1, found, f"{found:,} rows of {looked} are against it")
