"""Which companies a run reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_core.errors import ConfigError, DataError
from tap_d365fo.names import nearest
from tap_d365fo.reading.query import Query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tap_d365fo.reading.pages import PageReader

#: Entity sets that list the companies of an environment, and the property with the id. Both are
#: shared entities: they show a company whether or not the application's user may read its rows.
_SOURCES = (("LegalEntities", "LegalEntityId"), ("Companies", "DataArea"))

#: Entries of a partition's state that only rows bring about.
_SIGNS_OF_ROWS = ("rows", "replication_key_value", "resume")

#: What a partition's context calls its company.
COMPANY = "company"


def existing_companies(
    reader: PageReader, environment_url: str, published: Collection[str]
) -> tuple[str, ...] | None:
    """Ids of all companies, lower case and sorted; None where the environment lists none.

    Raises:
        DataError: the list is there but empty.
    """
    for entity_set, id_property in _SOURCES:
        if entity_set not in published:
            continue
        query = Query(entity_set, order=(id_property,), select=(id_property,))
        found = {
            str(row[id_property]).lower()
            for page in reader.walk(query.url(environment_url))
            for row in page.rows
            if row.get(id_property)
        }
        if not found:
            message = f"{entity_set} shows no company; give the application's user access to one"
            raise DataError(message)
        return tuple(sorted(found))
    return None


def require_list(requested: Iterable[str]) -> tuple[str, ...]:
    """The requested companies, where the environment cannot say which there are.

    Raises:
        ConfigError: none are named.
    """
    wanted = tuple(requested)
    if wanted:
        return wanted
    message = (
        "the environment publishes neither LegalEntities nor Companies, so `companies: [all]` "
        "cannot be resolved; list the companies in the setting"
    )
    raise ConfigError(message)


def check_requested(requested: Iterable[str], existing: Collection[str]) -> tuple[str, ...]:
    """The requested companies, when each of them exists.

    F&O answers a filter on an unknown company with no rows and no error: without this check a
    slip of the pen would look like an empty ledger.

    Raises:
        ConfigError: names the companies that do not exist.
    """
    wanted = tuple(requested)
    missing = [company for company in wanted if company not in existing]
    if missing:
        message = (
            f"the environment has no company {', '.join(missing)}; it has "
            f"{', '.join(sorted(existing))}{nearest(missing[0], existing)}"
        )
        raise ConfigError(message)
    return wanted


def companies_read_before(state: Mapping[str, Any], stream: str) -> set[str]:
    """Companies of which ``state`` says that something of a stream has been read.

    One that failed before its first row leaves its name, and nothing else.
    """
    bookmarks = state.get("bookmarks") or {}
    return {
        partition["context"][COMPANY]
        for partition in bookmarks.get(stream, {}).get("partitions", ())
        if COMPANY in partition.get("context", {}) and partition.keys() > {"context"}
    }


def companies_with_rows(state: Mapping[str, Any], streams: Iterable[str]) -> set[str]:
    """Companies of which an earlier run has read rows of these streams, as ``state`` tells.

    A company without rows leaves something in the state, too, so more than its name must be there.
    """
    bookmarks = state.get("bookmarks") or {}
    return {
        partition["context"][COMPANY]
        for stream in streams
        for partition in bookmarks.get(stream, {}).get("partitions", ())
        if COMPANY in partition.get("context", {}) and has_had_rows(partition)
    }


def has_had_rows(state: Mapping[str, Any]) -> bool:
    """Whether a partition's state tells of rows."""
    return any(map(state.get, _SIGNS_OF_ROWS))
