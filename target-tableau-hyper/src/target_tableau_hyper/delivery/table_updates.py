"""What an update does to the tables of a data source of several streams. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from target_tableau_hyper.delivery.update import actions
from target_tableau_hyper.extract.combined_payload import numbered
from target_tableau_hyper.extract.payload import DELETES, UPSERTS

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class TableUpdate:
    """Changed rows of one table.

    Attributes:
        table: Its name in the data source.
        keys: Key columns; without them rows are added.
        deletes: Whether the payload has rows to delete.
        upserts: Whether it has rows to change or add.
    """

    table: str
    keys: tuple[str, ...]
    deletes: bool
    upserts: bool


def table_actions(updates: Sequence[TableUpdate]) -> list[dict[str, Any]]:
    """The actions of one request for all tables: in this order, all or nothing.

    Args:
        updates: One a payload of
            :func:`~target_tableau_hyper.extract.combined_payload.join_payloads`, in its order.
    """
    steps = []
    for number, update in enumerate(updates):
        sources = {name: numbered(name, number) for name in (UPSERTS, DELETES)}
        for step in actions(update.keys, deletes=update.deletes, upserts=update.upserts):
            source = sources[step["source-table"]]
            steps.append({**step, "source-table": source, "target-table": update.table})
    return steps
