"""Settings of deliveries: what is sent, how it is described, how long it may take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Mapping

PROPERTIES = (
    th.Property(
        "stamp_description",
        th.BooleanType,
        default=True,
        title="Stamp Description",
        description=(
            "End the description of each data source with the time that its data are of and the "
            "run that sent them. What people wrote there stays."
        ),
        examples=[True],
    ),
    th.Property(
        "tags",
        th.ArrayType(th.StringType),
        default=[],
        title="Tags",
        description="Tags that every published data source gets; others stay.",
        examples=[["finance", "d365"]],
    ),
    th.Property(
        "update_limit_mb",
        th.IntegerType(minimum=1),
        default=100,
        title="Update Limit (MB)",
        description=(
            "Largest file with changed rows that the server takes; 100 on Tableau Cloud and by "
            "default on Tableau Server (`api.server.extract-updates.max-size`), 10 on old ones. "
            "What is larger is published whole, so that readers never see half a change."
        ),
        examples=[100],
    ),
    th.Property(
        "job_timeout",
        th.IntegerType(minimum=1),
        default=3600,
        title="Job Timeout (s)",
        description=(
            "How many seconds a publishing job on the server may take; then it is cancelled."
        ),
        examples=[3600],
    ),
)


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """The same as values.

    Attributes:
        stamp: Whether descriptions say as of when.
        tags: Labels of every data source.
        update_limit_bytes: Largest file of changed rows.
    """

    stamp: bool
    tags: tuple[str, ...]
    update_limit_bytes: int

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DeliverySettings:
        """Typed values of a validated config."""
        return cls(
            stamp=config["stamp_description"],
            tags=tuple(config["tags"]),
            update_limit_bytes=config["update_limit_mb"] * 2**20,
        )
