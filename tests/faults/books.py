"""What must have come out: Contoso's own tables, and a target that keeps what it is sent."""

from __future__ import annotations

import decimal
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from contoso_sandbox.model import AxType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.model import EntitySet

Record = dict[str, Any]
Key = tuple[Any, ...]

DELETED_AT = "_sdc_deleted_at"


def books(contoso: Contoso, name: str, company: str | None = "usmf") -> dict[Key, Record]:
    """Every row of a set (of one company, where it has companies) as a record should hold it."""
    entity_set = contoso.world.environment.entity_sets[name]
    columns = ", ".join(f'"{prop.name}"' for prop in entity_set.properties)
    statement = f'SELECT {columns} FROM "{name}"'  # noqa: S608 - names of the sandbox
    if company and entity_set.per_company:
        statement += f" WHERE lower(\"dataAreaId\") = '{company}'"
    with contoso.world.cursor() as cursor:
        rows = cursor.execute(statement).fetchall()
    records = [_record(entity_set, row) for row in rows]
    return {key_of(entity_set, record): record for record in records}


def key_of(entity_set: EntitySet, record: Record) -> Key:
    """The key of a record."""
    return tuple(record[name] for name in entity_set.key)


def _record(entity_set: EntitySet, row: Iterable[Any]) -> Record:
    values = zip(entity_set.properties, row, strict=True)
    record = {p.name: _WRITTEN.get(p.ax_type, _as_it_is)(value) for p, value in values}
    for prop in entity_set.properties:
        nothing = _NOTHING.get(prop.ax_type)
        if nothing and record[prop.name] in nothing and prop.name not in entity_set.key:
            record[prop.name] = None
    if entity_set.per_company:
        record["dataAreaId"] = record["dataAreaId"].lower()
    return record


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    return value


_WRITTEN: dict[AxType, Callable[[Any], Any]] = {
    AxType.DATE: lambda at: at.date().isoformat(),
    AxType.UTC_DATE_TIME: lambda at: f"{at.isoformat()}Z",
}

#: How F&O writes "nothing".
_NOTHING = {
    AxType.DATE: {"1900-01-01"},
    AxType.UTC_DATE_TIME: {"1900-01-01T00:00:00Z"},
    AxType.GUID: {"00000000-0000-0000-0000-000000000000"},
}


class Keeper:
    """A target in memory: upserts by key, deletes, drops rows of an older version."""

    def __init__(self, contoso: Contoso) -> None:
        """Start empty."""
        self._sets = contoso.world.environment.entity_sets
        self._rows: defaultdict[str, dict[Key, tuple[Record, int | None]]] = defaultdict(dict)

    def take(self, messages: Iterable[dict[str, Any]]) -> None:
        """Apply the messages of a run, or of a part of one."""
        for message in messages:
            if message["type"] == "RECORD":
                self._take_record(message["stream"], message["record"], message.get("version"))
            elif message["type"] == "ACTIVATE_VERSION":
                rows = self._rows[message["stream"]]
                kept = {k: row for k, row in rows.items() if row[1] == message["version"]}
                self._rows[message["stream"]] = kept

    def rows(self, stream: str) -> dict[Key, Record]:
        """What is there now."""
        return {key: record for key, (record, _) in self._rows[stream].items()}

    def _take_record(self, stream: str, record: Record, version: int | None) -> None:
        key = key_of(self._sets[stream], record)
        plain = {name: value for name, value in record.items() if name != DELETED_AT}
        if record.get(DELETED_AT) is not None:
            self._rows[stream].pop(key, None)
        else:
            self._rows[stream][key] = (plain, version)


def check_figures(messages: list[dict[str, Any]]) -> None:
    """Every STATE tells exactly of the records before it, and only the last may be complete."""
    records: defaultdict[str, list[Record]] = defaultdict(list)
    for position, message in enumerate(messages):
        if message["type"] == "RECORD":
            records[message["stream"]].append(message["record"])
        elif message["type"] == "STATE":
            audit = message["value"]["audit"]
            assert position == len(messages) - 1 or not audit["complete"]
            for stream, figures in audit["streams"].items():
                _compare(figures, records[stream])
            assert {s for s, sent in records.items() if sent} <= audit["streams"].keys()


def _compare(figures: dict[str, Any], records: list[Record]) -> None:
    living = [record for record in records if record.get(DELETED_AT) is None]
    assert figures["records"] == len(records)
    assert figures["deletes"] == len(records) - len(living)
    for column, total in figures["totals"].items():
        with decimal.localcontext(prec=120):
            expected = sum(r[column] for r in living if r[column] is not None)
        assert Decimal(total) == expected, column
