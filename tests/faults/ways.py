"""The strategies under test, each on a set of Contoso, and where on the way a fault strikes.

Amounts, texts and several pages are in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from contoso_sandbox.faults import Fault, Page, pages_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.faults import Action, Asked

#: A literal of a filter that must not turn up in a log.
FILTER_CANARY = "canary-in-a-filter-8841"

#: Text in the rows that must not turn up in a log.
ROW_CANARY = "canary-in-a-row-3307"


@dataclass(frozen=True, slots=True)
class Way:
    """One strategy on one entity set.

    Attributes:
        text: A string column of the set, of no key.
        amount: A decimal column.
        later: Whether the run under test is a second one, over rows that changed.
    """

    name: str
    entity_set: str
    text: str
    amount: str
    snapshots: bool = False
    later: bool = False

    def settings(self, tmp_path: Path, **changes: object) -> dict[str, Any]:
        """The part of the configuration that makes the tap read this way."""
        condition = f"{self.text} ne '{FILTER_CANARY}'"
        own = {"entity_settings": {self.entity_set: {"filter": condition, "lookback": 1000}}}
        if self.snapshots:
            own["snapshot_path"] = str(tmp_path / "snapshots")  # type: ignore[assignment]
        return {"entities": [self.entity_set], "companies": ["usmf"], **own, **changes}

    def touch(self, contoso: Contoso, rows: int = 20) -> None:
        """Change some rows, as a user does: new amounts, and another RecVersion."""
        with contoso.world.cursor() as cursor:
            cursor.execute(
                f'UPDATE "{self.entity_set}" SET __rec_version = __rec_version + 7, '  # noqa: S608 - names of the sandbox
                f'"{self.amount}" = "{self.amount}" + 0.01 WHERE __rec_id IN '
                f'(SELECT __rec_id FROM "{self.entity_set}" WHERE {self.own_rows} '
                f"ORDER BY hash(__rec_id) LIMIT {rows})"
            )

    @property
    def own_rows(self) -> str:
        """The rows that a run by this way is asked for, in SQL."""
        return "TRUE" if self.entity_set == LEDGER else "lower(\"dataAreaId\") = 'usmf'"


LEDGER = "GeneralJournalAccountEntryBiEntities"

FULL = Way("full", "PurchaseOrderLinesV2", "LineDescription", "LineAmount")
CURSOR = Way("cursor", "VendTransBiEntities", "Txt", "AmountCur")
HIGH_WATER = Way("high_water", LEDGER, "Text", "AccountingCurrencyAmount")
SCAN = Way("etag_scan", "PurchaseOrderLinesV2", "LineDescription", "LineAmount", snapshots=True)
RESCAN = Way(
    "etag_scan of changes",
    *("PurchaseOrderLinesV2", "LineDescription", "LineAmount"),
    snapshots=True,
    later=True,
)

WAYS = (FULL, CURSOR, HIGH_WATER, SCAN, RESCAN)


@dataclass(frozen=True, slots=True)
class Spot:
    """A request of a way's walk."""

    name: str
    nth: int | None = None
    page: Page | None = None
    by_key: bool = False

    def fault(self, action: Action, way: Way, *, times: int = 1) -> Fault:
        """The ``action`` here, so many times in a row."""
        on = self._by_key(way) if self.by_key else pages_of(way.entity_set)
        nth = range(self.nth, self.nth + times) if self.nth is not None else None
        return Fault(action, on=on, nth=nth, page=self.page, times=times)

    @staticmethod
    def _by_key(way: Way) -> Callable[[Asked], bool]:
        pages = pages_of(way.entity_set)
        return lambda asked: pages(asked) and "PurchaseOrderNumber%20eq" in asked.query


FIRST = Spot("first page", nth=1)
MIDDLE = Spot("middle page", nth=3)
LAST = Spot("last page", page=Page.LAST)
BY_KEY = Spot("fetch by key", by_key=True)


def spots(fault: str) -> pytest.MarkDecorator:
    """Every strategy at its first, a middle and its last page; ids begin with ``fault``."""
    cases = [(way, spot) for way in WAYS for spot in (FIRST, MIDDLE, LAST)]
    cases.append((RESCAN, BY_KEY))
    return pytest.mark.parametrize(
        ("way", "spot"),
        [pytest.param(w, s, id=f"{fault} {w.name}, {s.name}") for w, s in cases],
    )


def ways(fault: str, *chosen: Way) -> pytest.MarkDecorator:
    """Every strategy, or those that are ``chosen``; ids begin with ``fault``."""
    return pytest.mark.parametrize(
        "way", [pytest.param(way, id=f"{fault} {way.name}") for way in chosen or WAYS]
    )
