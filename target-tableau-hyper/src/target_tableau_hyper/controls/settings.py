"""Setting ``controls``: its schema, and the same as values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from singer_sdk import typing as th

from pipeline_core.errors import ConfigError
from target_tableau_hyper.controls.balance import Balance
from target_tableau_hyper.controls.drops import FEW_ROWS, MaxDrop, NotEmpty
from target_tableau_hyper.controls.references import References
from target_tableau_hyper.controls.sql import Sql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        made.controls(())  # whatever is wrong with an entry is told before anything is read
        return made

    def controls(self, streams: tuple[str, ...]) -> list[Control]:
        """The controls, those for ``*`` once for each of ``streams``."""
        found = []
        for name, entry in self.entries.items():
            every = entry["type"] in _OF_ANY_STREAM and entry.get("stream") == "*"
            for stream in streams if every else (None,):
                given = {**entry, "stream": stream} if stream is not None else dict(entry)
                found.append(self._control(name, stream, given))
        return [control for control in found if "*" not in control.check.streams]

    def _control(self, name: str, stream: str | None, entry: dict[str, Any]) -> Control:
        # Numbers come as floats or, read from a file, as decimals.
        content = json.dumps(entry, sort_keys=True, default=float)
        definition = hashlib.sha256(content.encode()).hexdigest()[:16]
        kind, on_failure = entry.pop("type"), entry.pop("on_failure", None) or "fail"
        check = _MAKERS[kind](_Entry(name, kind, entry))
        if isinstance(check, MaxDrop) and not self.accept_drop.isdisjoint({"*", check.stream}):
            check = MaxDrop(check.stream, check.rows, check.totals, check.min_rows, accepted=True)
        return Control(
            f"{name}: {stream}" if stream is not None else name,
            kind,
            on_failure == "fail",
            check,
            definition,
        )


class _Entry:
    """Takes values out of one entry and tells what is wrong with it."""

    def __init__(self, name: str, kind: str, given: dict[str, Any]) -> None:
        self._name = name
        self._kind = kind
        self._given = given

    def text(self, key: str) -> str:
        value = self._given.pop(key, None)
        if not isinstance(value, str) or not value:
            self.refuse(key, "must be a name")
        return value

    def names(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._given.pop(key, None)
        if value is None and default is not None:
            return default
        listed = [value] if isinstance(value, str) else value
        if (
            not isinstance(listed, list)
            or not listed
            or not all(isinstance(v, str) for v in listed)
        ):
            self.refuse(key, "must be a list of names")
        return tuple(listed)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._given.pop(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false")
        return value

    def whole(self, key: str, default: int) -> int:
        value = self._given.pop(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, "must be a whole number")
        return value

    def number(self, key: str, default: Decimal | None = None) -> Decimal | None:
        return self._decimal(key, self._given.pop(key)) if key in self._given else default

    def shares(self, key: str) -> dict[str, Decimal]:
        value = self._given.pop(key, {})
        if not isinstance(value, dict):
            self.refuse(key, "must map columns to shares such as 0.5")
        return {column: self._decimal(f"{key}.{column}", share) for column, share in value.items()}

    def done(self) -> None:
        """Nothing may be left over.

        Raises:
            ConfigError: a word means nothing here.
        """
        if self._given:
            self.refuse(", ".join(self._given), f"means nothing to type {self._kind}")

    def refuse(self, key: str, what: str) -> NoReturn:
        """Raise the error for a value that is wrong.

        Raises:
            ConfigError: always.
        """
        message = f"controls.{self._name}: {key} {what}"
        raise ConfigError(message)

    def _decimal(self, key: str, value: object) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            self.refuse(key, "must be a number")
        if isinstance(value, bool) or not number.is_finite() or number < 0:
            self.refuse(key, "must be a number of zero or more")
        return number


def _balance(entry: _Entry) -> Check:
    made = Balance(
        entry.text("stream"),
        entry.text("amount"),
        entry.names("by"),
        entry.number("tolerance") or Decimal(0),
    )
    entry.done()
    return made


def _references(entry: _Entry) -> Check:
    stream, columns, target = entry.text("stream"), entry.names("columns"), entry.text("refers_to")
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


def _max_drop(entry: _Entry) -> Check:
    made = MaxDrop(
        entry.text("stream"),
        entry.number("rows"),
        entry.shares("totals"),
        entry.whole("min_rows", FEW_ROWS),
    )
    if made.rows is None and not made.totals:
        entry.refuse("rows", "or totals must say how much may go, such as 0.2")
    entry.done()
    return made


def _not_empty(entry: _Entry) -> Check:
    made = NotEmpty(entry.text("stream"), entry.whole("min_rows", 1))
    entry.done()
    return made


def _sql(entry: _Entry) -> Check:
    made = Sql(entry.text("query"))
    if not made.streams:
        entry.refuse("query", "must name at least one stream in braces, such as {VendorsV2}")
    entry.done()
    return made


_OF_ANY_STREAM = frozenset({"max_drop", "not_empty"})

_MAKERS: dict[str, Callable[[_Entry], Check]] = {
    "balance": _balance,
    "references": _references,
    "max_drop": _max_drop,
    "not_empty": _not_empty,
    "sql": _sql,
}
