"""Which companies a run reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError, DataError
from tap_d365fo.names import nearest
from tap_d365fo.reading.query import Query

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tap_d365fo.reading.pages import PageReader

#: Entity sets that list the companies the application's user may see, and the property with the id.
_SOURCES = (("LegalEntities", "LegalEntityId"), ("Companies", "DataArea"))


def visible_companies(
    reader: PageReader, environment_url: str, published: Collection[str]
) -> tuple[str, ...]:
    """Ids of all companies that the application may read, lower case and sorted.

    Raises:
        ConfigError: the environment publishes neither list.
        DataError: the list is empty: a user without any company reads nothing and gets no error.
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
    message = (
        "the environment publishes neither LegalEntities nor Companies, so `companies: [all]` "
        "cannot be resolved; list the companies in the setting"
    )
    raise ConfigError(message)


def check_requested(requested: Iterable[str], visible: Collection[str]) -> tuple[str, ...]:
    """The requested companies, when each of them can be seen.

    F&O answers a filter on a company without access with no rows and no error: without this check a
    missing permission would look like an empty ledger.

    Raises:
        ConfigError: names the companies that cannot be seen.
    """
    wanted = tuple(requested)
    missing = [company for company in wanted if company not in visible]
    if missing:
        hints = "".join(nearest(company, visible) for company in missing[:1])
        message = (
            f"the application's user in F&O cannot see {', '.join(missing)}; it sees "
            f"{', '.join(sorted(visible))}{hints}"
        )
        raise ConfigError(message)
    return wanted
