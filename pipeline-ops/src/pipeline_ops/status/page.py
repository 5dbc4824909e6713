"""The status as a page, as a table, and as JSON."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pipeline_ops.pages.render import render
from pipeline_ops.status.model import Standing
from pipeline_ops.tables import as_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipeline_core.ledger import Event
    from pipeline_ops.status.model import DatasourceStatus, RunStatus, Status

#: Class of the style sheet, and a sign: nobody has to tell colours apart.
_LOOKS = {
    Standing.FAILED: ("state-bad", "\N{MULTIPLICATION X}"),
    Standing.PENDING: ("state-warn", "\N{HORIZONTAL ELLIPSIS}"),
    Standing.LATE: ("state-warn", "!"),
    Standing.UNPUBLISHED: ("state-plain", "\N{EN DASH}"),
    Standing.CURRENT: ("state-good", "\N{CHECK MARK}"),
}

_OUTCOMES = {
    "complete": ("state-good", "\N{CHECK MARK}", "Complete"),
    "failed": ("state-bad", "\N{MULTIPLICATION X}", "Failed"),
    "open": ("state-warn", "\N{HORIZONTAL ELLIPSIS}", "Under way or cut off"),
}

_REFRESHES = {
    "refreshed": ("state-good", "\N{CHECK MARK}", "Refreshed"),
    "asked for": ("state-good", "\N{CHECK MARK}", "Asked for"),
    "begun": ("state-warn", "\N{HORIZONTAL ELLIPSIS}", "Begun, end unknown"),
    "waiting": ("state-warn", "\N{HORIZONTAL ELLIPSIS}", "Due at the next run"),
    "failed": ("state-bad", "\N{MULTIPLICATION X}", "Failed"),
}


def status_page(status: Status, *, refresh_s: int | None = None) -> str:
    """The page: one file, no script, nothing fetched.

    Args:
        status: See :func:`pipeline_ops.status.gather.gather`.
        refresh_s: A browser loads it again after so many seconds; for pages that are served.
    """
    return render(
        "status.html",
        status=status,
        headline=headline(status),
        looks=_LOOKS,
        outcomes=_OUTCOMES,
        refresh_looks=_REFRESHES,
        Standing=Standing,
        refresh_s=refresh_s,
        minute=_minute,
        machine=_machine,
        ago=lambda moment: _ago(status, moment),
        facts=_facts,
        took=_took,
        by=_by,
    )


def headline(status: Status) -> str:
    """The whole in one sentence."""
    count, good = len(status.datasources), status.count(Standing.CURRENT, Standing.UNPUBLISHED)
    failed = "; the last run failed" if status.failure else ""
    if not count:
        why = "see the runs" if status.runs else "the pipeline has not run"
        return f"There are no data sources yet: {why}{failed}."
    if good == count:
        whole = f"All {count} data sources are" if count > 1 else "The one data source is"
        return f"{whole} current{failed}."
    parts = [
        f"{status.count(standing)} {words}"
        for standing, words in (
            (Standing.FAILED, "failed"),
            (Standing.PENDING, "not delivered"),
            (Standing.LATE, "late"),
        )
        if status.count(standing)
    ]
    return f"{', '.join(parts)}; {good} of {count} data sources are current{failed}."


def status_table(status: Status, *, width: int) -> Iterator[str]:
    """The same for a terminal, line by line."""
    yield headline(status)
    yield ""
    yield from as_table(
        ["STATE", "DATA SOURCE", "AS OF (UTC)", "ROWS", "IN TABLEAU SINCE", "WHY"],
        [
            [
                f"{_LOOKS[one.standing][1]} {one.standing}",
                one.name,
                _minute(one.as_of),
                f"{one.rows:,}" if one.tables else "",
                _minute(one.refreshed_at),
                " ".join([*one.why, *one.notes]),
            ]
            for one in status.datasources
        ],
        width=width,
        numbers=(3,),
    )
    if status.refreshes:
        yield ""
        yield from as_table(
            ["REFRESH", "ITEM", "AT (UTC)", "WHY"],
            [
                [_REFRESHES[r.outcome][2], f"{r.kind} {r.item}".strip(), _minute(r.at), r.error]
                for r in status.refreshes
            ],
            width=width,
        )
    if status.runs:
        yield ""
        yield from as_table(
            ["RUN", "BY", "BEGAN (UTC)", "OUTCOME", "ROWS READ", "DELIVERED", "ERROR"],
            [
                [
                    run.run_id,
                    _by(run),
                    _minute(run.began),
                    _OUTCOMES[run.outcome][2],
                    f"{run.rows:,}",
                    str(run.deliveries),
                    _error(run),
                ]
                for run in status.runs[:5]
            ],
            width=width,
            numbers=(4, 5),
        )
    yield ""
    yield status.ledger


def status_json(status: Status) -> str:
    """The same for machines: instants in ISO 8601, decimals as text."""
    return json.dumps(
        {
            "at": status.at.isoformat(),
            "headline": headline(status),
            "output_dir": status.output_dir,
            "datasources": [_datasource(one) for one in status.datasources],
            "refreshes": [
                {"item": r.item, "kind": r.kind, "outcome": r.outcome, "at": r.at, "error": r.error}
                for r in status.refreshes
            ],
            "runs": [
                {
                    "run_id": run.run_id,
                    "actors": run.actors,
                    "began": run.began,
                    "last": run.last,
                    "outcome": run.outcome,
                    "rows": run.rows,
                    "deliveries": run.deliveries,
                    "error": run.error,
                    "open_effects": run.open_effects,
                }
                for run in status.runs
            ],
            "ledger": status.ledger,
            "ledger_broken": status.ledger_broken,
        },
        indent=2,
        ensure_ascii=False,
        default=_plain,
    )


def _datasource(one: DatasourceStatus) -> dict[str, Any]:
    return {
        "name": one.name,
        "standing": one.standing.name.lower(),
        "why": one.why,
        "notes": one.notes,
        "as_of": one.as_of,
        "rows": one.rows,
        "place": one.place,
        "refreshed_at": one.refreshed_at,
        "how": one.how,
        "run_id": one.run_id,
        "tables": [
            {"stream": table.stream, "rows": table.rows, "totals": dict(table.totals)}
            for table in one.tables
        ],
    }


def _plain(value: object) -> str:
    return format(value, "f") if isinstance(value, Decimal) else _machine(value)


def _machine(moment: object) -> str:
    """An instant as machines read it."""
    isoformat = getattr(moment, "isoformat", None)
    return str(isoformat(timespec="seconds")) if isoformat else ""


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment is not None else ""


def _ago(status: Status, moment: datetime) -> str:
    """How old something is, in its largest unit."""
    seconds = max(0, int((status.at - moment).total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _took(run: RunStatus) -> str:
    seconds = int((run.last - run.began).total_seconds())
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"  # noqa: PLR2004


def _by(run: RunStatus) -> str:
    """``tap``, ``target`` or both; other names as they are."""
    return ", ".join(
        actor.partition("-")[0] if actor.startswith(("tap-", "target-")) else actor
        for actor in run.actors
    )


def _error(run: RunStatus) -> str:
    opened = [f"{effect}: begun, end unknown" for effect in run.open_effects]
    return "; ".join([*([run.error] if run.error else []), *opened])


def _facts(event: Event) -> str:
    """The fields of an event, short: whole they are in ``runs show``."""
    pieces = []
    for name, value in event.body.items():
        if isinstance(value, dict | list):
            pieces.append(f"{name}: {len(value)}")
        elif value not in (None, ""):
            pieces.append(f"{name}={value if not isinstance(value, StrEnum) else value.value}")
    text = " ".join(pieces)
    return text if len(text) <= 200 else f"{text[:199]}\N{HORIZONTAL ELLIPSIS}"  # noqa: PLR2004
