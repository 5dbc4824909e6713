"""The action language of ``PATCH …/datasources/{id}/data``, turned into SQL. Values only.

An action names a table of the payload (``source``) and a table of the data source (``target``)::

    {"action": "upsert", "source-schema": "Extract", "source-table": "delta",
     "target-schema": "Extract", "target-table": "Extract",
     "condition": {"op": "eq", "source-col": "recid", "target-col": "recid"}}

Conditions compare a target column with a source column or with a constant, the target on the left;
``and``, ``or`` and ``not`` combine them under ``args``.

Where the documentation is silent, the strict reading is taken, so that what passes here does not
hang on luck elsewhere:

* Comparison is SQL's: a NULL equals nothing, not even a NULL. An upsert whose key is NULL inserts.
* Every column of the payload must exist in the target, by name, with a type that holds all its
  values. Target columns that the payload lacks become NULL in new rows and stay in updated ones.
* A target row that several payload rows match is an error, not a matter of chance.
* ``update``, ``upsert`` and ``delete`` need a condition.

Source: https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_how_to_update_data_to_hyper.htm;
types ``dataUpdateActionType`` and ``dataUpdateConditionType`` of ``ts-api_3_29.xsd``.
"""

# ruff: noqa: S608 - every name is quoted by `quoted`, every constant checked by `hyper_conditions`

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.hyper_conditions import (
    ActionFailedError,
    ActionsMalformedError,
    Json,
    condition_sql,
    quoted,
    text_of,
)
from contoso_sandbox.tableau.hyper_schema import fits

if TYPE_CHECKING:
    from contoso_sandbox.tableau.hyper_schema import HyperContent, Table

#: Names under which the two files are attached.
TARGET, SOURCE = "target", "source"

_UNMATCHED = '"unmatched"'


class Verb(StrEnum):
    """What an action does."""

    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Action:
    """One action, as sent."""

    verb: Verb
    target_table: str
    target_schema: str | None
    source_table: str | None
    source_schema: str | None
    condition: Json


@dataclass(frozen=True, slots=True)
class Step:
    """A statement to run, or a query that must find nothing.

    Attributes:
        sql: Over the files attached as `TARGET` and `SOURCE`.
        complaint: Set for a query: why the action fails if it finds a row.
    """

    sql: str
    complaint: str | None = None


def parse_actions(document: Json) -> tuple[Action, ...]:
    """Read the body of a request.

    Raises:
        ActionsMalformedError: it is not ``{"actions": [...]}`` with at least one known action, each
            complete.
    """
    listed = document.get("actions") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        message = "the request must hold a list 'actions' with at least one action"
        raise ActionsMalformedError(message)
    return tuple(_action(item) for item in listed)


def to_steps(action: Action, target: HyperContent, source: HyperContent | None) -> list[Step]:
    """Turn an action into statements, to be run in order and committed one by one.

    They are safe to run on a copy only: an error leaves the earlier ones done.

    Raises:
        ActionFailedError: a table or column is missing, or a type does not hold the payload's.
        ActionsMalformedError: the condition cannot be read.
    """
    to = target.find(action.target_table, action.target_schema)
    if to is None:
        raise _missing_table(action.target_table)
    of = None
    if action.source_table is not None:
        of = source.find(action.source_table, action.source_schema) if source is not None else None
        if of is None:
            raise _missing_table(action.source_table)
    if action.verb is Verb.DELETE:
        return [_delete(to, of, condition_sql(action.condition, to, of))]
    if of is None:  # `parse_actions` lets only ``delete`` go without
        raise _missing_table(action.source_table or "")
    _check_columns(to, of)
    if action.verb is Verb.INSERT:
        return [_insert(to, of, _name(SOURCE, of))]
    if action.verb is Verb.REPLACE:
        return [Step(f"TRUNCATE {_name(TARGET, to)}"), _insert(to, of, _name(SOURCE, of))]
    condition = condition_sql(action.condition, to, of)
    change = [_refuse_ambiguity(to, of, condition), _update(to, of, condition)]
    if action.verb is Verb.UPDATE:
        return change
    # What is new is settled before anything changes: the condition may speak of updated columns.
    unmatched = Step(
        f"CREATE TEMPORARY TABLE {_UNMATCHED} AS (SELECT s.* FROM {_name(SOURCE, of)} AS s"
        f" WHERE NOT EXISTS (SELECT 1 FROM {_name(TARGET, to)} AS t WHERE {condition}))"
    )
    return [unmatched, *change, _insert(to, of, _UNMATCHED), Step(f"DROP TABLE {_UNMATCHED}")]


def _action(item: Json) -> Action:
    if not isinstance(item, dict):
        message = "an action must be an object"
        raise ActionsMalformedError(message)
    word = str(item.get("action", "")).lower()
    if word not in list(Verb):
        message = f"unknown action '{word}'"
        raise ActionsMalformedError(message)
    verb = Verb(word)
    target_table = text_of(item, "target-table")
    if target_table is None:
        message = f"action '{verb}' needs 'target-table'"
        raise ActionsMalformedError(message)
    source_table = text_of(item, "source-table")
    if source_table is None and verb is not Verb.DELETE:
        message = f"action '{verb}' needs 'source-table'"
        raise ActionsMalformedError(message)
    condition = item.get("condition")
    if verb in (Verb.UPDATE, Verb.UPSERT, Verb.DELETE) and condition is None:
        message = f"action '{verb}' needs 'condition'"
        raise ActionsMalformedError(message)
    return Action(
        verb,
        target_table,
        text_of(item, "target-schema"),
        source_table,
        text_of(item, "source-schema"),
        condition,
    )


def _missing_table(name: str) -> ActionFailedError:
    return ActionFailedError(f"Specified table does not exist: {name}", "410012")


def _check_columns(to: Table, of: Table) -> None:
    for column in of.columns:
        counterpart = to.column(column.name)
        if counterpart is None:
            message = f"Column '{column.name}' of {of.label} does not exist in {to.label}"
            raise ActionFailedError(message)
        if not fits(column.type, counterpart.type):
            message = (
                f"Column '{column.name}' is {column.type} in {of.label}"
                f" and {counterpart.type} in {to.label}"
            )
            raise ActionFailedError(message)


def _delete(to: Table, of: Table | None, condition: str) -> Step:
    if of is None:
        return Step(f"DELETE FROM {_name(TARGET, to)} AS t WHERE {condition}")
    return Step(
        f"DELETE FROM {_name(TARGET, to)} AS t"
        f" WHERE EXISTS (SELECT 1 FROM {_name(SOURCE, of)} AS s WHERE {condition})"
    )


def _update(to: Table, of: Table, condition: str) -> Step:
    assignments = ", ".join(
        f"{quoted(column.name)} = s.{quoted(column.name)}" for column in of.columns
    )
    return Step(
        f"UPDATE {_name(TARGET, to)} AS t SET {assignments}"
        f" FROM {_name(SOURCE, of)} AS s WHERE {condition}"
    )


def _refuse_ambiguity(to: Table, of: Table, condition: str) -> Step:
    return Step(
        f"SELECT 1 FROM {_name(TARGET, to)} AS t JOIN {_name(SOURCE, of)} AS s ON {condition}"
        " GROUP BY t.ctid HAVING count(*) > 1 LIMIT 1",
        complaint=f"Several rows of {of.label} match one row of {to.label}",
    )


def _insert(to: Table, of: Table, rows: str) -> Step:
    columns = ", ".join(quoted(column.name) for column in of.columns)
    return Step(f"INSERT INTO {_name(TARGET, to)} ({columns}) (SELECT {columns} FROM {rows})")


def _name(database: str, table: Table) -> str:
    return ".".join(quoted(part) for part in (database, table.schema, table.name))
