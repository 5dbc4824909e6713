"""Control ``sql``: any query that must return no row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tableauhyperapi import HyperException  # type: ignore[import-untyped, unused-ignore]

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from target_tableau_hyper.controls.look import Look

#: What stands in a query beside plain text: comments, which do not nest; literals with and without
#: escapes, and names in quotes; ``{VendorsV2}``, ``{my stream}`` for a stream's table.
_TOKEN = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?\*/ )
    | \b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
    | \{(?P<stream>[^{}]+)\}
    """,
    re.DOTALL | re.VERBOSE,
)

#: What a message of hyperd is about where not the query is to blame but the machine.
_SHORTAGE = re.compile(r"memory|disk|no space|temporary file|\bi/o\b|connection", re.IGNORECASE)

#: From the first quotation mark of a message to the last.
_QUOTATION = re.compile(r"""['"`].*['"`]""", re.DOTALL)


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
        return tuple(dict.fromkeys(part for part, is_stream in _parts(self.query) if is_stream))

    @property
    def about(self) -> tuple[str, ...]:
        """What must have been loaded."""
        return self.streams

    def check(self, look: Look) -> Finding:
        """Run it as part of a larger query, so that it can do nothing but select.

        Raises:
            ConfigError: hyperd cannot run it, whatever memory and disk it has.
        """
        with look.tables(*self.streams) as (database, names):
            query = f"SELECT count(*) FROM ({self._select(names)}\n) q"  # noqa: S608 - the operator's own
            try:
                found = int(database.row(query)[0])
            except HyperException as error:
                told = str(error.main_message)
                if _SHORTAGE.search(_without_quotation(_reason(told))):
                    raise
                # What points into the query quotes the query, and anything else values of rows.
                safe = told if _reason(told) != told else _without_quotation(told)
                message = f"hyperd cannot run the query: {safe[:300]}"
                raise ConfigError(message) from error
        looked = " and ".join(self.streams)
        if not found:
            return Finding(1, 0, f"no row of {looked} is against it")
        return Finding(1, found, f"{found:,} rows of {looked} are against it")

    def _select(self, names: Mapping[str, str]) -> str:
        """The query with tables in the place of streams, without comments and the last ``;``."""
        query = "".join(names[part] if is_table else part for part, is_table in _parts(self.query))
        return query.rstrip("; \t\r\n")


def _parts(query: str) -> Iterator[tuple[str, bool]]:
    """A query in pieces: names of streams, marked so, and what stands between; no comments."""
    end = 0
    for token in _TOKEN.finditer(query):
        yield query[end : token.start()], False
        end = token.end()
        if token["stream"]:
            yield token["stream"], True
        else:
            yield " " if token["comment"] else token[0], False
    yield query[end:], False


def _reason(message: str) -> str:
    """A message of hyperd without the excerpt of the query that may follow."""
    return message.partition("\nline ")[0]


def _without_quotation(message: str) -> str:
    return _QUOTATION.sub("...", message)
