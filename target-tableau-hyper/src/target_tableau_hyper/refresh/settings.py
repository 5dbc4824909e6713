"""The setting ``refresh``: its schema, and the same as typed values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REFRESH_PROPERTY = th.Property(
    "refresh",
    th.ObjectType(
        th.Property(
            "datasources",
            th.ArrayType(th.StringType),
            description="Data sources with an extract: `Project/Name` or LUID.",
        ),
        th.Property(
            "workbooks",
            th.ArrayType(th.StringType),
            description="Workbooks with an extract: `Project/Name` or LUID.",
        ),
        th.Property(
            "wait", th.BooleanType, description="Follow the jobs to their end (default: true)."
        ),
        th.Property(
            "only_when_changed",
            th.BooleanType,
            description="Leave out runs that delivered nothing (default: true).",
        ),
        th.Property(
            "timeout",
            th.IntegerType(minimum=1),
            description="Seconds for all refreshes together (default: `job_timeout`).",
        ),
        additional_properties=False,
    ),
    default={},
    title="Refresh",
    description=(
        "What is refreshed once everything is delivered: `datasources` and `workbooks` with an "
        "extract of their own, each as `Project/Name` or LUID. `wait` (true) follows the jobs for "
        "`timeout` seconds (`job_timeout`); `only_when_changed` (true) leaves out runs that "
        "delivered nothing."
    ),
    examples=[
        {
            "datasources": ["Finance/Spend mart"],
            "workbooks": ["Finance/Payables dashboard"],
            "wait": True,
            "only_when_changed": True,
        }
    ],
)


class Kind(StrEnum):
    """What can be refreshed."""

    DATASOURCE = "datasource"
    WORKBOOK = "workbook"

    @property
    def words(self) -> str:
        """As Tableau's own texts call it."""
        return "data source" if self is Kind.DATASOURCE else "workbook"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the setting.

    Attributes:
        kind: In which of the two lists it stands.
        text: Project path and name, or a LUID.
    """

    kind: Kind
    text: str

    @property
    def key(self) -> str:
        """A text that names it among all entries."""
        return f"{self.kind}:{self.text}"


@dataclass(frozen=True, slots=True)
class RefreshSettings:
    """What is refreshed, and how.

    Attributes:
        entries: Data sources first, then workbooks, each once.
        wait: Whether jobs are followed to their end.
        only_when_changed: Whether a run that delivered nothing refreshes nothing.
        timeout_s: For all refreshes together; ``None`` where ``job_timeout`` holds.
    """

    entries: tuple[Entry, ...] = ()
    wait: bool = True
    only_when_changed: bool = True
    timeout_s: float | None = None

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> RefreshSettings:
        """Typed values of a validated config."""
        given = {k: v for k, v in (config.get("refresh") or {}).items() if v is not None}
        timeout = given.get("timeout")
        return cls(
            entries=entries(given.get("datasources", ()), given.get("workbooks", ())),
            wait=given.get("wait", True),
            only_when_changed=given.get("only_when_changed", True),
            timeout_s=float(timeout) if timeout else None,
        )


def entries(datasources: Iterable[str], workbooks: Iterable[str]) -> tuple[Entry, ...]:
    """Both lists as one, each entry once."""
    listed = [
        *(Entry(Kind.DATASOURCE, text) for text in datasources),
        *(Entry(Kind.WORKBOOK, text) for text in workbooks),
    ]
    return tuple(dict.fromkeys(listed))
