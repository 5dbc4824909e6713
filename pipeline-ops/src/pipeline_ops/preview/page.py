"""The page: ask, draw, fill the template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipeline_ops.pages.numbers import share
from pipeline_ops.pages.render import render
from pipeline_ops.preview import questions
from pipeline_ops.preview.charts import draw_ageing, draw_ledger, draw_spend
from pipeline_ops.preview.extracts import CannotDrawError, Extracts, open_extracts

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

SPEND, AGEING, LEDGER = "spend by vendor", "payables by age", "general ledger by month"


@dataclass(frozen=True, slots=True)
class Page:
    """The page and what is on it.

    Attributes:
        drawn: Names of the charts.
        left_out: Why others are missing, a sentence each.
    """

    html: str
    drawn: list[str]
    left_out: list[str]


def preview_page(output_dir: Path, *, day: date | None, now: datetime) -> Page:
    """Everything that can be drawn of the extracts in ``output_dir``.

    Args:
        output_dir: Directory of the extracts; nothing in it changes.
        day: Payables are aged by it; ``None`` for the day that their extract is of.
        now: When the page is made.

    Raises:
        ConfigError: there is no such directory.
        DataError: an extract cannot be opened.
    """
    sections: dict[str, object] = {}
    left_out: dict[str, str] = {}
    with open_extracts(output_dir) as extracts:

        def attempt(name: str, work: Callable[[], object]) -> None:
            try:
                sections[name] = work()
            except CannotDrawError as error:
                left_out[name] = str(error)

        attempt(SPEND, lambda: [(s, draw_spend(s)) for s in questions.spend(extracts)])
        aged_by = day or _day_of(extracts, now)
        attempt(AGEING, lambda: [(a, draw_ageing(a)) for a in questions.ageing(extracts, aged_by)])
        attempt(
            LEDGER,
            lambda: [(p, draw_ledger(p) if p.months else None) for p in questions.ledger(extracts)],
        )
        as_of = dict(extracts.as_of)
        ledger_source = next(
            (s for s in (questions.ENTRIES, questions.LINES) if extracts.has(s)), questions.ENTRIES
        )
    html = render(
        "preview.html",
        sections=sections,
        left_out=left_out,
        spend=SPEND,
        ageing=AGEING,
        ledger=LEDGER,
        aged_by=aged_by.isoformat(),
        as_of={stream: _minute(moment) for stream, moment in sorted(as_of.items())},
        oldest=_minute(min((m for m in as_of.values() if m), default="")),
        made_at=_minute(now.isoformat()),
        directory=str(output_dir),
        share=share,
        streams={
            SPEND: questions.TRANSACTIONS,
            AGEING: questions.TRANSACTIONS,
            LEDGER: ledger_source,
        },
    )
    return Page(html, list(sections), [f"{name}: {why}" for name, why in left_out.items()])


def _day_of(extracts: Extracts, now: datetime) -> date:
    known = extracts.as_of.get(questions.TRANSACTIONS)
    return (datetime.fromisoformat(known) if known else now).date()


def _minute(moment: str) -> str:
    """``2026-11-24 10:56 UTC`` of an instant in UTC; empty stays empty."""
    return f"{moment[:16].replace('T', ' ')} UTC" if moment else ""
