"""Draw: figures in, SVG out, by Vega-Lite (vl-convert renders it here, without a browser).

A drawing is static, so the page needs no script. Its texts stay texts, its marks carry labels for
screen readers, and its colours are those of :data:`COLOURS`, which the page's style sheet maps to
those of the dark scheme. Positions are floats, as in any drawing; every figure that is written
comes from a Decimal as text. Each chart is drawn twice: for wide and for narrow screens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median_low
from typing import TYPE_CHECKING, Any

import vl_convert
from markupsafe import Markup

from pipeline_ops.pages.numbers import exact, short

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from pipeline_ops.preview.figures import Ageing, LedgerPeriods, Spend

#: Whatever has a colour has one of these; the style sheet knows them by these very values.
COLOURS = {
    "ink": "#1f2933",
    "soft": "#52606d",
    "grid": "#d9dfe5",
    "bar": "#1b6ca8",
    "rest": "#7b8794",
}

_VEGA_LITE = "5.21"

#: Widths in pixels; the narrow one fits a telephone.
_WIDE, _NARROW = 760, 320

_LABEL_LIMIT = {_WIDE: 250, _NARROW: 130}

#: When the largest figure is so many times the median, bars would show nothing but that one.
_TOO_UNEQUAL = 200

_BAR = {"type": "bar", "cornerRadiusEnd": 2}

#: Where the scale is logarithmic: the length of a bar would mean nothing there.
_POINT = {"type": "point", "filled": True, "size": 90, "opacity": 1, "color": COLOURS["bar"]}

_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "Arial, Helvetica, sans-serif",
    "view": {"stroke": "transparent"},
    "axis": {
        "labelColor": COLOURS["ink"],
        "titleColor": COLOURS["soft"],
        "gridColor": COLOURS["grid"],
        "domain": False,
        "ticks": False,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    },
    "header": {"labelColor": COLOURS["ink"], "labelFontSize": 12, "labelFontWeight": "bold"},
    "bar": {"color": COLOURS["bar"]},
    "text": {"color": COLOURS["ink"], "fontSize": 12},
}


@dataclass(frozen=True, slots=True)
class Drawing:
    """One chart, ready for the page.

    Attributes:
        wide, narrow: The SVG for each width.
        logarithmic: Whether each step of its scale is ten times the one before.
    """

    wide: Markup
    narrow: Markup
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it is called, how long it is, and whether it stands for several."""

    name: str
    amount: Decimal
    is_rest: bool = False


def draw_spend(spend: Spend) -> Drawing:
    """Bars from the largest vendor to the rest."""
    several = len({vendor.company for vendor in spend.top}) > 1
    bars = [Bar(f"{v.name} ({v.company})" if several else v.name, v.amount) for v in spend.top]
    if spend.rest:
        bars.append(Bar(spend.rest.name, spend.rest.amount, is_rest=True))
    return _draw_bars(bars, title=f"Spend in {spend.currency}")


def draw_ageing(ageing: Ageing) -> Drawing:
    """A bar a bucket, in the order of time."""
    return _draw_bars(
        [Bar(name, amount) for name, amount in ageing.buckets.items()],
        title=f"Open payables in {ageing.currency}",
    )


def draw_ledger(periods: LedgerPeriods) -> Drawing:
    """A row of monthly bars a company, each with a scale of its own."""
    values = [
        {
            "company": company,
            "month": month,
            "debits": float(of_company[month].debits) if month in of_company else 0.0,
            "told": f"{company}, {month}: debits of "
            + (exact(of_company[month].debits) if month in of_company else "0.00")
            + f" {periods.currency}",
        }
        for company, of_company in periods.companies.items()
        for month in periods.months
    ]
    debits = [
        months[name].debits
        for months in periods.companies.values()
        for name in periods.months
        if name in months
    ]
    logarithmic = _is_uneven(debits)
    ticks = {"values": _powers(max(debits))} if logarithmic else {"tickCount": 3}

    def spec(width: int) -> dict[str, Any]:
        most = 12 if width == _WIDE else 4
        step = -(-len(periods.months) // most)
        return {
            "data": {"values": values},
            "facet": {
                "row": {
                    "field": "company",
                    "title": None,
                    "header": {
                        "labelAngle": 0,
                        "labelAlign": "left",
                        "labelAnchor": "start",
                        "labelOrient": "top",
                    },
                }
            },
            "spec": {
                "width": width - 70,
                "height": 92,
                "mark": dict(_POINT if logarithmic else _BAR),
                "encoding": {
                    "x": {
                        "field": "month",
                        "type": "ordinal",
                        "scale": {"domain": periods.months, "paddingInner": 0.25},
                        "axis": {
                            "title": None,
                            "labelAngle": 0,
                            "values": periods.months[::step],
                        },
                    },
                    "y": {
                        "field": "debits",
                        "type": "quantitative",
                        "scale": _scale(logarithmic=logarithmic),
                        "axis": {"title": None, "labelExpr": _SHORT_AXIS, **ticks},
                    },
                    "description": {"field": "told", "type": "nominal"},
                },
            },
            "resolve": {"scale": {"y": "independent"}},
        }

    title = f"Debits posted a month in {periods.currency}"
    return Drawing(
        _svg(spec(_WIDE), f"{title}, wide"), _svg(spec(_NARROW), f"{title}, narrow"), logarithmic
    )


#: Vega's own SI prefixes call a billion G.
_SHORT_AXIS = "replace(format(datum.value, '.3~s'), 'G', 'B')"


def _draw_bars(bars: Sequence[Bar], *, title: str) -> Drawing:
    logarithmic = _is_uneven([bar.amount for bar in bars])
    # Two vendors may have one name: the number in front keeps them apart and is not shown.
    values = [
        {
            "order": number,
            "key": f"{number:03d} {bar.name}",
            "amount": float(bar.amount),
            "label": short(bar.amount),
            "told": f"{bar.name}: {exact(bar.amount)}",
            "kind": "rest" if bar.is_rest else "bar",
        }
        for number, bar in enumerate(bars)
    ]
    y = {
        "field": "key",
        "type": "nominal",
        "sort": {"field": "order"},
        "scale": {"paddingInner": 0.3},
    }

    def spec(width: int) -> dict[str, Any]:
        axis = {
            "title": None,
            "labelExpr": "slice(datum.label, 4)",
            "labelLimit": _LABEL_LIMIT[width],
            "labelPadding": 8,
        }
        x = {
            "field": "amount",
            "type": "quantitative",
            "scale": _scale(logarithmic=logarithmic),
            "axis": None,
        }
        colour = {
            "field": "kind",
            "type": "nominal",
            "scale": {"domain": ["bar", "rest"], "range": [COLOURS["bar"], COLOURS["rest"]]},
            "legend": None,
        }
        described = {"field": "told", "type": "nominal"}
        mark: list[dict[str, Any]] = (
            [
                {"mark": {"type": "rule", "strokeWidth": 1, "color": COLOURS["grid"]}},
                {"mark": dict(_POINT)},
            ]
            if logarithmic
            else [{"mark": dict(_BAR)}]
        )
        for layer in mark:
            layer["encoding"] = {"x": x, "description": described}
            if layer["mark"]["type"] != "rule":
                layer["encoding"]["color"] = colour
        text = {
            "mark": {"type": "text", "align": "left", "dx": 8, "aria": False},
            "encoding": {"x": x, "text": {"field": "label", "type": "nominal"}},
        }
        return {
            "data": {"values": values},
            "width": width - _LABEL_LIMIT[width] - 70,
            "height": {"step": 24},
            "encoding": {"y": {**y, "axis": axis}},
            "layer": [*mark, text],
        }

    return Drawing(
        _svg(spec(_WIDE), f"{title}, wide"), _svg(spec(_NARROW), f"{title}, narrow"), logarithmic
    )


def _is_uneven(amounts: Sequence[Decimal]) -> bool:
    sizes = [abs(amount) for amount in amounts if amount]
    return bool(sizes) and max(sizes) > _TOO_UNEQUAL * median_low(sizes)


def _powers(largest: Decimal) -> list[int]:
    """Ticks of a logarithmic axis: Vega's own would crowd around the largest figure."""
    return [0, *(10**power for power in range(6, 37, 3) if 10**power <= largest)]


def _scale(*, logarithmic: bool) -> dict[str, Any]:
    # symlog knows zero and negative figures, which a credit note makes.
    return {"type": "symlog", "constant": 1000} if logarithmic else {"zero": True}


def _svg(spec: dict[str, Any], title: str) -> Markup:
    spec = {"description": title, "config": _CONFIG, "padding": 4, **spec}
    drawn = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
    # It shrinks with the page, and no two drawings of a page may share an id.
    unique = re.sub(r"\W+", "-", title)
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{unique}-", drawn)
    drawn = re.sub(r' width="([\d.]+)" height="[\d.]+"', r' style="max-width:\1px"', drawn, count=1)
    return Markup(drawn)  # noqa: S704 - Vega escapes the texts that it draws
