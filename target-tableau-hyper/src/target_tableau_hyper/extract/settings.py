"""Settings of hyperd."""

from __future__ import annotations

from singer_sdk import typing as th

PROPERTIES = (
    th.Property(
        "memory_limit",
        th.StringType(pattern="^[1-9][0-9]*[mg]$"),
        title="Memory Limit",
        description=(
            "How much memory hyperd may allocate while it merges, as `800m` or `4g`; a run that "
            "needs more ends and changes nothing. Without it, hyperd takes what its own default "
            "allows, most of the machine's memory."
        ),
        examples=["4g"],
    ),
)
