"""The figures as a table for people and as a document for programs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.measuring.figure import Figure

_HEAD = ("figure", "floor", "ours", "ratio", "must reach", "reached")
_WIDEST = 64


def render(figures: Sequence[Figure]) -> str:
    """All figures as a table, each with its floor and notes in lines of their own below."""
    rows = [_cells(figure) for figure in figures]
    widths = [max(len(row[i]) for row in (_HEAD, *rows)) for i in range(len(_HEAD))]
    lines = [_line(_HEAD, widths), "  ".join("-" * width for width in widths)]
    for figure, row in zip(figures, rows, strict=True):
        lines.append(_line(row, widths))
        texts = [f"floor: {figure.against}", figure.note]
        if figure.cpu_ratio is not None:
            texts.append(f"ratio of processor time {figure.cpu_ratio:.2f}")
        text = "; ".join(filter(None, texts))
        lines += textwrap.wrap(text, 110, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def document(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """The figures for ``results.json``."""
    return [
        {
            "figure": figure.name,
            "against": figure.against,
            "unit": figure.ours.unit,
            "floor": round(figure.floor.value, 4),
            "ours": round(figure.ours.value, 4),
            "ratio": round(figure.ratio, 4),
            "cpu_ratio": None if figure.cpu_ratio is None else round(figure.cpu_ratio, 4),
            "must_reach": figure.must,
            "reached": figure.reached,
            "note": figure.note,
        }
        for figure in figures
    ]


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        textwrap.shorten(figure.name, _WIDEST, placeholder="..."),
        str(figure.floor),
        str(figure.ours),
        f"{figure.ratio:.2f}",
        figure.must,
        "yes" if figure.reached else "NO",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.ljust(width) if not at else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join((first, *rest)).rstrip()
