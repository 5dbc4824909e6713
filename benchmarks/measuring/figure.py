"""One row of the table: what was measured against which floor, and whether it is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.measuring.meter import Cost


class Bound(StrEnum):
    """On which side of the wanted ratio a figure is good."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Amount:
    """A measured quantity; ``unit`` is ``s``, ``MB``, ``rows/s`` and the like."""

    value: float
    unit: str

    def __str__(self) -> str:
        """Three digits or so, and the unit."""
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2  # noqa: PLR2004
        return f"{self.value:,.{digits}f} {self.unit}"


@dataclass(frozen=True, slots=True)
class Goal:
    """What must be reached.

    Attributes:
        bound: Side on which the ratio is good.
        ratio: Ours divided by the floor.
        most: Limit of our own amount, in its unit, beside that of the ratio.
    """

    bound: Bound
    ratio: float
    most: float | None = None

    def admits(self, ratio: float, ours: float) -> bool:
        """Whether the goal is reached."""
        within = ratio <= self.ratio if self.bound is Bound.AT_MOST else ratio >= self.ratio
        return within and (self.most is None or ours <= self.most)


def at_most(ratio: float, *, most: float | None = None) -> Goal:
    """Ours may be so many times the floor (and itself so much)."""
    return Goal(Bound.AT_MOST, ratio, most)


def at_least(ratio: float) -> Goal:
    """Ours must be so many times the floor."""
    return Goal(Bound.AT_LEAST, ratio)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: What is measured.
        against: What the floor is.
        floor: The floor, measured in the same run.
        ours: Ours, in the floor's unit.
        goal: What must be reached.
        note: Sizes, and what the reader must know to judge.
        cpu_ratio: Ours divided by the floor in processor time, where time was measured: what else
            runs on the machine disturbs it less.
    """

    name: str
    against: str
    floor: Amount
    ours: Amount
    goal: Goal
    note: str = ""
    cpu_ratio: float | None = None

    @property
    def ratio(self) -> float:
        """Ours divided by the floor."""
        return self.ours.value / self.floor.value if self.floor.value else float("inf")

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.goal.admits(self.ratio, self.ours.value)

    @property
    def must(self) -> str:
        """The goal in words."""
        limit = "" if self.goal.most is None else f", <= {self.goal.most:g} {self.ours.unit}"
        return f"{self.goal.bound} {self.goal.ratio:g}{limit}"


def timed(
    name: str, against: str, floor: Cost, ours: Cost, *, goal: Goal, note: str = ""
) -> Figure:
    """A figure of wall times."""
    return Figure(
        name,
        against,
        Amount(floor.seconds, "s"),
        Amount(ours.seconds, "s"),
        goal,
        note,
        cpu_ratio=ours.cpu_s / floor.cpu_s if floor.cpu_s else None,
    )
