"""What a .hyper file holds, as values, and whether a server of some version takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERSION_OFFSET = 10
_MAGIC = b"Hyper"
_NUMERIC = re.compile(r"NUMERIC\((\d+), (\d+)\)")
_INTEGERS = ("SMALL_INT", "INT", "BIG_INT")
#: Decimal digits that hold every value of the integer type.
_INTEGER_DIGITS = {"SMALL_INT": 5, "INT": 10, "BIG_INT": 19}

#: Product version from which on a file-format version is read, highest first
#: (hyper-db ``website/docs/hyper-api/hyper_process.md``).
_FILE_VERSIONS = (((2024, 3), 4), ((2023, 1), 3), ((2021, 1), 2), ((2019, 2), 1))
_MULTI_TABLE_SINCE = (2021, 4)
_ANY_NAME_SINCE = (2020, 1)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: name, and type as Hyper writes it, for example ``NUMERIC(18, 2)``."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its columns in order."""

    schema: str
    name: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """The column of exactly that name, or ``None``."""
        return next((column for column in self.columns if column.name == name), None)

    @property
    def label(self) -> str:
        """``schema.table`` for messages."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Link:
    """An assumed foreign key: positions of both tables in `HyperContent.tables`."""

    referring: int
    referred: int


@dataclass(frozen=True, slots=True)
class HyperContent:
    """Tables of a file, and the assumed foreign keys between them."""

    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()

    def find(self, name: str, schema: str | None) -> Table | None:
        """The table of that name.

        Without a schema the name must be the only one of its kind in the file. (What a real server
        makes of a missing schema is not documented; the samples always send one.)
        """
        found = [t for t in self.tables if t.name == name and schema in (None, t.schema)]
        return found[0] if len(found) == 1 else None


def file_version(head: bytes) -> int | None:
    """The format version in the first bytes of a file; ``None`` if it is no .hyper file."""
    if not head.startswith(_MAGIC) or len(head) <= _VERSION_OFFSET:
        return None
    return head[_VERSION_OFFSET]


def newest_file_version(product_version: str) -> int:
    """The newest file format that a server of ``product_version`` (``2026.2.0``) reads."""
    product = _product(product_version)
    return next((version for since, version in _FILE_VERSIONS if product >= since), 0)


def why_not_publishable(content: HyperContent, product_version: str) -> str | None:
    """Why a raw .hyper file makes no data source, or ``None`` when it makes one.

    Several tables must form one tree along their foreign keys, with exactly one table that none
    refers to, the fact table (hyper-db ``website/docs/guides/hyper_file/publish.md``).
    """
    product = _product(product_version)
    tables, links = content.tables, content.links
    if not tables:
        return "the file holds no table"
    if product < _ANY_NAME_SINCE and [table.label for table in tables] != ["Extract.Extract"]:
        return "the only table must be Extract.Extract"
    if len(tables) == 1:
        return None
    if product < _MULTI_TABLE_SINCE:
        return "it must contain exactly one table"
    return _why_no_tree(len(tables), set(links))


def _why_no_tree(size: int, links: set[Link]) -> str | None:
    """Why the foreign keys do not make one tree of ``size`` tables, or ``None`` if they do."""
    referred = [link.referred for link in links if link.referring != link.referred]
    facts = [position for position in range(size) if position not in referred]
    if len(facts) != 1:
        return "it must contain exactly one fact table"
    reached = facts[:]
    for position in reached:  # grows while it is walked
        children = [link.referred for link in links if link.referring == position]
        reached += [child for child in children if child not in reached]
    if len(reached) != size or len(set(referred)) != len(referred):
        return "its tables must form one tree below exactly one fact table"
    return None


def fits(source: str, target: str) -> bool:
    """Whether every value of type ``source`` is exactly a value of type ``target``.

    hyperd itself would round NUMERIC(18, 6) into NUMERIC(18, 2) without a word (measured).
    """
    if source == target or (target == "TEXT" and source.startswith(("VARCHAR", "CHAR"))):
        return True
    if source in _INTEGERS and target in _INTEGERS:
        return _INTEGERS.index(source) <= _INTEGERS.index(target)
    to = _NUMERIC.fullmatch(target)
    if to is None:
        return False
    whole_digits = int(to[1]) - int(to[2])
    if source in _INTEGERS:
        return whole_digits >= _INTEGER_DIGITS[source]
    of = _NUMERIC.fullmatch(source)
    return of is not None and int(of[2]) <= int(to[2]) and int(of[1]) - int(of[2]) <= whole_digits


def _product(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
