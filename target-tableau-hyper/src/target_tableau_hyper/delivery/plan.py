"""Decide how an extract gets to Tableau: values in, a decision out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Way(StrEnum):
    """How a data source is brought up to date."""

    NOTHING = "nothing"
    UPDATE = "update"
    OVERWRITE = "overwrite"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision depends on.

    Attributes:
        mode: Setting ``publish``.
        delivered_sha: SHA-256 of the extract that Tableau confirmed last, at this destination.
        sha: SHA-256 of the extract now.
        base_sha: SHA-256 of the extract that the delta starts from.
        changed_rows: Rows in the delta.
        total_rows: Rows in the extract.
        payload_bytes: Size of the delta's file; ``None`` where there is none.
        limit_bytes: Largest such file that the server takes.
        schema_changed: Columns differ from what is published.
        replaced: The table was replaced as a whole.
        untouched: The published data source is still as our last delivery left it.
        redressed: It is to say other things of itself: captions, folders, relationships.
    """

    mode: str
    delivered_sha: str | None
    sha: str
    base_sha: str | None
    changed_rows: int
    total_rows: int
    payload_bytes: int | None
    limit_bytes: int
    schema_changed: bool
    replaced: bool
    untouched: bool
    redressed: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The way, and why, for the log."""

    way: Way
    why: str


def decide(situation: Situation) -> Decision:
    """Pick the cheapest way that surely ends with Tableau holding this extract.

    An update (PATCH) carries only changed rows, so it is right only on top of exactly the rows that
    the delta starts from; it cannot add a column.
    """
    same = situation.delivered_sha == situation.sha and not situation.redressed
    if same and situation.untouched:
        return Decision(Way.NOTHING, "nothing changed")
    obstacle = _obstacle(situation)
    if obstacle:
        return Decision(Way.OVERWRITE, obstacle)
    return Decision(Way.UPDATE, f"{situation.changed_rows} rows changed")


def _obstacle(situation: Situation) -> str:
    """Why an update will not do; empty when it will."""
    checks = (
        (situation.mode == "overwrite", "publish is set to overwrite"),
        (situation.delivered_sha is None, "not delivered yet"),
        (situation.delivered_sha != situation.base_sha, "an earlier delivery was not confirmed"),
        (situation.schema_changed, "columns changed"),
        (situation.redressed, "captions, folders or relationships changed"),
        (situation.replaced, "the table was replaced"),
        (situation.payload_bytes is None, "the changed rows are not at hand"),
        ((situation.payload_bytes or 0) > situation.limit_bytes, "too much changed for one update"),
        (
            situation.mode == "auto" and situation.changed_rows * 2 > situation.total_rows,
            "more than half of the rows changed",
        ),
        (not situation.untouched, "the data source was changed by somebody else"),
    )
    return next((why for applies, why in checks if applies), "")
