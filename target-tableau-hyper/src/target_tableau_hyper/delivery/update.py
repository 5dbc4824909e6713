"""Send only changed rows to a published data source ("Update Data in Hyper Data Source")."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, cast

from target_tableau_hyper.extract.engine import SCHEMA_NAME, TABLE_NAME
from target_tableau_hyper.extract.payload import DELETES, UPSERTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

    from target_tableau_hyper.tableau.session import TableauSession

#: Names requests of ours among all users of the site.
_NAMESPACE = uuid.UUID("6f1c9f0e-5d0e-5a5b-9d55-7a0f6c0f2c11")


def request_id(run_id: str, sha256: str) -> str:
    """The same for every attempt to deliver one extract in one run.

    Tableau executes requests of one id once within 24 hours, so a repeated request is harmless.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}/{sha256}"))


def actions(keys: Sequence[str], *, deletes: bool, upserts: bool) -> list[dict[str, Any]]:
    """What the server shall do with the payload's tables, in this order, all or nothing.

    Both schemas are always named: what an omitted one means is nowhere documented.
    """
    steps: list[dict[str, Any]] = []
    if deletes:
        steps.append(_action("delete", DELETES, keys))
    if upserts:
        steps.append(_action("upsert" if keys else "insert", UPSERTS, keys))
    return steps


def start_update(
    session: TableauSession,
    datasource_id: str,
    payload: Path,
    steps: Sequence[dict[str, Any]],
    *,
    request: str,
    name: str,
) -> TSC.JobItem:
    """Upload ``payload`` and start the job that applies it.

    A request whose answer was lost is sent again under the same ``request``.
    """
    return session.call(
        lambda server: server.datasources.update_hyper_data(
            datasource_id,
            request_id=request,
            actions=cast("Any", list(steps)),
            payload=str(payload),
        ),
        doing=f"updating data source {name!r}",
    )


def _action(verb: str, table: str, keys: Sequence[str]) -> dict[str, Any]:
    action: dict[str, Any] = {
        "action": verb,
        "source-schema": SCHEMA_NAME,
        "source-table": table,
        "target-schema": SCHEMA_NAME,
        "target-table": TABLE_NAME,
    }
    same = [{"op": "eq", "source-col": key, "target-col": key} for key in keys]
    if verb != "insert":
        action["condition"] = same[0] if len(same) == 1 else {"op": "and", "args": same}
    return action
