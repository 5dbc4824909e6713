"""The settings ``datasources`` and ``package``: which streams become which data source, and how.

An entry with ``tables`` is a data source of several streams, its key is the data source's name; any
other entry belongs to the one stream that its key names.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from singer_sdk import typing as th

from pipeline_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_TEXT = {"type": "string"}
_NAMES = {"type": "array", "items": _TEXT}
_TABLE = {
    "type": ["object", "null"],
    "properties": {"name": {**_TEXT, "description": "Name of the table in Tableau."}},
    "additionalProperties": False,
}
_RELATIONSHIP = {
    "type": "object",
    "properties": {
        "from": {**_TEXT, "description": "Stream with many rows for one of the other."},
        "to": {**_TEXT, "description": "Stream whose rows are found by the columns in `on`."},
        "on": {
            "type": "object",
            "additionalProperties": _TEXT,
            "description": "Column of `from` -> column of `to`; all keys of `to` must be there.",
        },
    },
    "required": ["from", "to", "on"],
    "additionalProperties": False,
}
_DATASOURCE = {
    "type": "object",
    "properties": {
        "name": {**_TEXT, "description": "Name of the data source."},
        "project": {**_TEXT, "description": "Project path, `A/B` for nested."},
        "file": {**_TEXT, "description": "File name in `output_dir`; for one stream only."},
        "description": {**_TEXT, "description": "Shown in Tableau."},
        "tables": {
            "type": ["array", "object"],
            "items": _TEXT,
            "additionalProperties": _TABLE,
            "description": "Streams of the data source, or stream -> `name` of its table.",
        },
        "relationships": {"type": "array", "items": _RELATIONSHIP},
        "folders": {
            "type": "object",
            "additionalProperties": _NAMES,
            "description": "Folder -> columns; `Stream.Column` where several tables have one.",
        },
    },
    "additionalProperties": False,
}

#: The properties of the config schema that this module reads.
PROPERTIES = (
    th.Property(
        "datasources",
        th.CustomType(
            {"type": ["object", "null"], "properties": {}, "additionalProperties": _DATASOURCE}
        ),
        default={},
        title="Data Sources",
        description=(
            "Stream name -> `name`, `project`, `file`, `description`, `folders` of its data "
            "source, each optional. A stream without an entry becomes the data source `<stream>` "
            "in `<stream>.hyper`. An entry with `tables` (and `relationships`) makes one data "
            "source of several streams; these are then published by themselves only where they "
            "have an entry of their own."
        ),
        examples=[
            {"VendorsV2": {"name": "Vendors", "project": "Finance/Payables"}},
            {
                "Payables": {
                    "tables": ["VendorInvoiceHeaders", "VendorsV2"],
                    "relationships": [
                        {
                            "from": "VendorInvoiceHeaders",
                            "to": "VendorsV2",
                            "on": {
                                "InvoiceAccount": "VendorAccountNumber",
                                "dataAreaId": "dataAreaId",
                            },
                        }
                    ],
                    "folders": {"Amounts": ["ImportedAmount"]},
                }
            },
        ],
    ),
    th.Property(
        "package",
        th.StringType,
        default="auto",
        allowed_values=["auto", "hyper", "tdsx"],
        title="Package",
        description=(
            "What is published: `hyper` the bare file, whose captions, roles and relationships "
            "Tableau guesses; `tdsx` a packaged data source with captions and descriptions of the "
            "schema, folders, formats and relationships; `auto` the latter where there is any of "
            "that to say. A server that refuses the package gets the bare file, with a warning."
        ),
        examples=["auto"],
    ),
)

#: Settings of an entry that make sense only for several streams, or only for one.
_SEVERAL_ONLY = ("relationships",)
_ONE_ONLY = ("file",)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of fields, as named in the settings."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasourceSettings:
    """Names of one stream's data source; ``None`` where the default holds."""

    name: str | None = None
    project: str | None = None
    file: str | None = None
    description: str | None = None
    folders: tuple[Folder, ...] = ()


@dataclass(frozen=True, slots=True)
class Relationship:
    """Rows of ``many`` find one row of ``one``.

    Attributes:
        many: Stream that refers.
        one: Stream that is referred to.
        on: Pairs of columns, of ``many`` and of ``one``.
    """

    many: str
    one: str
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CombinedSettings:
    """A data source of several streams.

    Attributes:
        key: Its key in the settings; names its files.
        name: Its name in Tableau.
        tables: Stream -> name of its table in Tableau, in the order of the settings.
        relationships: They form one tree.
    """

    key: str
    name: str
    project: str | None
    description: str | None
    tables: Mapping[str, str]
    relationships: tuple[Relationship, ...]
    folders: tuple[Folder, ...]


@dataclass(frozen=True, slots=True)
class Datasources:
    """All entries of the setting ``datasources``."""

    single: Mapping[str, DatasourceSettings]
    combined: Mapping[str, CombinedSettings]

    @classmethod
    def from_config(cls, config: Mapping[str, Any] | None) -> Datasources:
        """Typed values of a validated setting.

        Raises:
            ConfigError: settings of an entry do not go together.
        """
        single, combined = {}, {}
        for key, entry in (config or {}).items():
            if "tables" in entry:
                combined[key] = _combined(key, entry)
                if len({known.casefold() for known in combined}) < len(combined):
                    message = (
                        f"datasources.{key}: another entry with tables has this name but for upper "
                        "and lower case, and both would be noted in one file; rename one"
                    )
                    raise ConfigError(message)
            else:
                single[key] = _single(key, entry)
        return cls(single, combined)

    def is_published_alone(self, stream: str) -> bool:
        """Whether a stream has a data source of its own.

        A stream that is a table of another data source has one only when it is asked for.
        """
        return stream in self.single or not self.containing(stream)

    def containing(self, stream: str) -> list[CombinedSettings]:
        """The data sources of which a stream is a table."""
        return [settings for settings in self.combined.values() if stream in settings.tables]


def closest(name: str, known: Iterable[str]) -> str:
    """What a name may have been meant to be, as the end of a sentence."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""


def _single(key: str, entry: Mapping[str, Any]) -> DatasourceSettings:
    for name in _SEVERAL_ONLY:
        if name in entry:
            message = (
                f"datasources.{key} has {name}, but no tables; list the streams that shall become "
                "its tables"
            )
            raise ConfigError(message)
    names = {name: value for name, value in entry.items() if name != "folders"}
    return DatasourceSettings(**names, folders=_folders(key, entry))


def _combined(key: str, entry: Mapping[str, Any]) -> CombinedSettings:
    for name in _ONE_ONLY:
        if name in entry:
            message = (
                f"datasources.{key} has both tables and {name}; each stream keeps its own extract, "
                f"set {name} in an entry of the stream"
            )
            raise ConfigError(message)
    listed = entry["tables"]
    names = listed if isinstance(listed, dict) else dict.fromkeys(listed)
    if not names or len(names) != len(listed):
        message = f"datasources.{key}.tables must list at least one stream, and each only once"
        raise ConfigError(message)
    tables = {stream: (more or {}).get("name") or stream for stream, more in names.items()}
    relationships = tuple(
        Relationship(one["from"], one["to"], tuple(one["on"].items()))
        for one in entry.get("relationships") or ()
    )
    _check_tree(key, tables, relationships)
    return CombinedSettings(
        key=key,
        name=entry.get("name") or key,
        project=entry.get("project"),
        description=entry.get("description"),
        tables=tables,
        relationships=relationships,
        folders=_folders(key, entry),
    )


def _folders(key: str, entry: Mapping[str, Any]) -> tuple[Folder, ...]:
    folders = tuple(
        Folder(name, tuple(fields)) for name, fields in entry.get("folders", {}).items()
    )
    seen: set[str] = set()
    for folder in folders:
        for field in folder.fields:
            if field in seen:
                message = (
                    f"datasources.{key}.folders name {field!r} twice; a field lies in one folder"
                )
                raise ConfigError(message)
            seen.add(field)
    return folders


def _check_tree(key: str, tables: Iterable[str], relationships: Sequence[Relationship]) -> None:
    """Tableau takes one tree of tables, with exactly one fact table, that no other refers to.

    Source: hyper-db ``website/docs/guides/hyper_file/publish.md``; anything else is answered with
    400011, without a word about why.

    Raises:
        ConfigError: it is none; says which table is wrong.
    """
    names, referred = list(tables), dict[str, str]()
    for one in relationships:
        for stream in (one.many, one.one):
            if stream not in names:
                message = (
                    f"datasources.{key}.relationships name {stream!r}, which is not among its "
                    f"tables{closest(stream, names)}"
                )
                raise ConfigError(message)
        if not one.on:
            message = (
                f"datasources.{key}: relate {one.many!r} to {one.one!r} by at least one column"
            )
            raise ConfigError(message)
        if one.one in referred:
            message = (
                f"datasources.{key}: both {referred[one.one]!r} and {one.many!r} refer to "
                f"{one.one!r}; Tableau takes tables that form one tree, in which only one table "
                "refers to another"
            )
            raise ConfigError(message)
        referred[one.one] = one.many
    facts = [name for name in names if name not in referred]
    if len(facts) != 1:
        what = (
            f"{' and '.join(map(repr, facts))} are each referred to by none"
            if facts
            else "they refer to each other in a circle"
        )
        message = (
            f"datasources.{key}: its tables must form one tree with exactly one fact table, to "
            f"which no other refers, but {what}; correct relationships"
        )
        raise ConfigError(message)
    reached = facts
    for name in reached:  # grows while it is walked
        reached += [one for one, many in referred.items() if many == name]
    apart = [name for name in names if name not in reached]
    if apart:
        message = (
            f"datasources.{key}: {' and '.join(map(repr, apart))} refer to each other in a circle, "
            f"apart from {names[0]!r}; the tables must form one tree"
        )
        raise ConfigError(message)
