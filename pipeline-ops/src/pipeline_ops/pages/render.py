"""Fill a template of this folder; everything that comes from data is escaped."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline_ops.pages.numbers import exact, grouped


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pipeline_ops.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["exact"] = exact
    environment.filters["grouped"] = grouped
    return environment


def render(template: str, **values: object) -> str:
    """One page as text."""
    return _environment().get_template(template).render(**values)
