"""Setting ``controls``: its schema, and the same as values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from singer_sdk import typing as th

from target_tableau_hyper.controls.balance import Balance
from target_tableau_hyper.controls.drops import FEW_ROWS, MaxDrop, NotEmpty
from target_tableau_hyper.controls.entry import EVERY, Entry
from target_tableau_hyper.controls.references import References
from target_tableau_hyper.controls.sql import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from target_tableau_hyper.controls.finding import Finding
    from target_tableau_hyper.controls.look import Look

PROPERTIES = (
    th.Property(
        "controls",
        th.ObjectType(
            additional_properties=th.ObjectType(
                th.Property(
                    "type",
                    th.StringType,
                    required=True,
                    allowed_values=["balance", "references", "max_drop", "not_empty", "sql"],
                ),
                th.Property("on_failure", th.StringType, allowed_values=["fail", "warn"]),
                additional_properties=True,
            )
        ),
        default={},
        title="Controls",
        description=(
            "What must hold before an extract is replaced or published: name -> `type` "
            "(`balance`, `references`, `max_drop`, `not_empty`, `sql`), `on_failure` (`fail` or "
            "`warn`) and what the type needs; see docs/controls.md."
        ),
        examples=[
            {
                "journals balance": {
                    "type": "balance",
                    "stream": "GeneralJournalAccountEntryBiEntities",
                    "amount": "AccountingCurrencyAmount",
                    "by": ["GeneralJournalEntry"],
                }
            }
        ],
    ),
    th.Property(
        "accept_drop",
        th.ArrayType(th.StringType),
        default=[],
        title="Accept Drop",
        description=(
            "Streams whose rows or totals may fall further than `max_drop` allows, `*` for all. "
            "Set it for one run, as a variable."
        ),
        examples=[["VendorsV2"]],
    ),
)


class Check(Protocol):
    """What every type of control can do."""

    @property
    def streams(self) -> tuple[str, ...]:
        """What it looks at."""

    @property
    def about(self) -> tuple[str, ...]:
        """Those of them without which there is nothing that could be wrong."""

    def check(self, look: Look) -> Finding:
        """Look.

        Raises:
            ConfigError: it cannot be looked at.
        """


@dataclass(frozen=True, slots=True)
class Control:
    """One entry of the setting.

    Attributes:
        name: Its key; with ``*`` for a stream, and the stream's name.
        kind: Its type.
        must_pass: Whether a failure ends the run.
        check: What it does.
        definition: Hash of its settings.
    """

    name: str
    kind: str
    must_pass: bool
    check: Check
    definition: str


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """All entries; those for every stream are made when the streams are known."""

    entries: Mapping[str, Mapping[str, Any]]
    accept_drop: frozenset[str]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ControlSettings:
        """Values of a validated config.

        Raises:
            ConfigError: an entry lacks something or has too much.
        """
        made = cls(config["controls"], frozenset(config["accept_drop"]))
        for name, entry in made.entries.items():
            made._control(name, None, dict(entry))
        return made

    def controls(self, sums: Mapping[str, Collection[str]]) -> list[Control]:
        """The controls, those for ``*`` once for each stream that they can look at.

        Args:
            sums: Columns that have a sum, of each stream of the run.
        """
        found = []
        for name, entry in self.entries.items():
            if entry.get("stream") != EVERY:
                found.append(self._control(name, None, dict(entry)))
                continue
            for stream, columns in sums.items():
                control = self._control(name, stream, {**entry, "stream": stream})
                check = control.check
                narrowed = check.of_columns(columns) if isinstance(check, MaxDrop) else check
                if narrowed is not None:
                    found.append(replace(control, check=narrowed))
        return found

    def without_sum(self, sums: Mapping[str, Collection[str]]) -> list[tuple[str, str]]:
        """Controls for ``*``, each with a column of its totals of which no stream has a sum."""
        known = set().union(*sums.values())
        return [
            (name, column)
            for name, entry in self.entries.items()
            if entry.get("stream") == EVERY
            for column in entry.get("totals", ())
            if column not in known
        ]

    def _control(self, name: str, stream: str | None, entry: dict[str, Any]) -> Control:
        # Numbers come as floats or, read from a file, as decimals.
        content = json.dumps(entry, sort_keys=True, default=float)
        definition = hashlib.sha256(content.encode()).hexdigest()[:16]
        kind, on_failure = entry.pop("type"), entry.pop("on_failure", None) or "fail"
        check = _MAKERS[kind](Entry(name, kind, entry))
        if isinstance(check, MaxDrop) and not self.accept_drop.isdisjoint({"*", check.stream}):
            check = replace(check, accepted=True)
        return Control(
            f"{name}: {stream}" if stream is not None else name,
            kind,
            on_failure == "fail",
            check,
            definition,
        )


def _balance(entry: Entry) -> Check:
    made = Balance(
        entry.stream(),
        entry.text("amount"),
        entry.names("by"),
        entry.number("tolerance") or Decimal(0),
        ignore_case=entry.flag("ignore_case", default=True),
    )
    entry.done()
    return made


def _references(entry: Entry) -> Check:
    stream, columns = entry.stream(), entry.names("columns")
    target = entry.stream("refers_to")
    made = References(
        stream,
        columns,
        target,
        entry.names("refers_to_columns", columns),
        required=entry.flag("required", default=False),
        ignore_case=entry.flag("ignore_case", default=True),
    )
    if len(made.columns) != len(made.refers_to_columns):
        entry.refuse("refers_to_columns", "must be as many as columns")
    entry.done()
    return made


def _max_drop(entry: Entry) -> Check:
    made = MaxDrop(
        entry.text("stream"),
        entry.share("rows"),
        entry.shares("totals"),
        entry.whole("min_rows", FEW_ROWS),
    )
    if made.rows is None and not made.totals:
        entry.refuse("rows", "or totals must say how much may go, such as 0.2")
    entry.done()
    return made


def _not_empty(entry: Entry) -> Check:
    made = NotEmpty(entry.text("stream"), entry.whole("min_rows", 1))
    entry.done()
    return made


def _sql(entry: Entry) -> Check:
    made = Sql(entry.text("query"))
    if not made.streams:
        entry.refuse("query", "must name at least one stream in braces, such as {VendorsV2}")
    entry.one_stream("query", *made.streams)
    entry.done()
    return made


_MAKERS: dict[str, Callable[[Entry], Check]] = {
    "balance": _balance,
    "references": _references,
    "max_drop": _max_drop,
    "not_empty": _not_empty,
    "sql": _sql,
}
