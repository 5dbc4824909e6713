"""Find data sources and workbooks on the site by project path and name, or by LUID."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import ServerResponseError

from pipeline_core.errors import ConfigError
from target_tableau_hyper.refresh.settings import Kind
from target_tableau_hyper.tableau.projects import project_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from target_tableau_hyper.refresh.settings import Entry
    from target_tableau_hyper.tableau.session import TableauSession

    Item: TypeAlias = TSC.DatasourceItem | TSC.WorkbookItem

_LUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

#: Commas and colons belong to the filter's own grammar.
_FILTERABLE = re.compile(r"[\w .\-]+")

#: The largest page there is: a whole site's list is read only to name what is close.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Refreshable:
    """A data source or workbook of the site.

    Attributes:
        entry: What named it.
        id: Its LUID.
        name: Its name.
        path: Project path and name, for messages.
        updated_at: Its time of change when it was found, by the server's clock.
    """

    entry: Entry
    id: str
    name: str
    path: str
    updated_at: datetime | None


def find_all(session: TableauSession, entries: Sequence[Entry]) -> list[Refreshable]:
    """What the entries name, in their order; what is named twice comes once.

    Raises:
        ConfigError: names every entry that the site does not have, with the closest that it has.
    """
    finder = _Finder(session)
    found: dict[str, Refreshable] = {}
    missing = []
    for entry in entries:
        try:
            one = finder.find(entry)
        except ConfigError as error:
            missing.append(str(error))
        else:
            found.setdefault(one.id, one)
    if missing:
        message = f"{'; '.join(missing)}; correct refresh, nothing was delivered or refreshed"
        raise ConfigError(message)
    return list(found.values())


def look_again(session: TableauSession, item: Refreshable) -> datetime | None:
    """The item's time of change now; ``None`` where it is gone."""
    found = _by_luid(session, item.entry.kind, item.id)
    return found.updated_at if found is not None else None


class _Finder:
    """Looks up entries of one site; its projects are listed once."""

    def __init__(self, session: TableauSession) -> None:
        self._session = session
        self._projects: dict[str, str] | None = None

    def find(self, entry: Entry) -> Refreshable:
        if _LUID.fullmatch(entry.text):
            one = _by_luid(self._session, entry.kind, entry.text.lower())
            if one is None:
                message = f"the site has no {entry.kind.words} with the LUID {entry.text}"
                raise ConfigError(message)
            return self._refreshable(entry, one)
        name = entry.text.rpartition("/")[2]
        listed = self._list(entry.kind, name if _FILTERABLE.fullmatch(name) else None)
        matches = self._matches(entry, listed)
        if not matches:
            # A name may hold a slash itself, and the list tells what is close.
            listed = self._list(entry.kind, None)
            matches = self._matches(entry, listed)
        if len(matches) > 1:
            places = ", ".join(sorted(repr(self._path(item)) for item in matches)[:5])
            message = f"{entry.kind.words} {entry.text!r} may be {places}: name its project too"
            raise ConfigError(message)
        if not matches:
            raise ConfigError(self._unknown(entry, listed))
        return self._refreshable(entry, matches[0])

    def _matches(self, entry: Entry, listed: Sequence[Item]) -> list[Item]:
        """By path; a bare name is enough where only one has it."""
        return [item for item in listed if self._path(item) == entry.text] or [
            item for item in listed if item.name == entry.text
        ]

    def _unknown(self, entry: Entry, listed: Sequence[Item]) -> str:
        paths = {self._path(item): self._path(item) for item in listed}
        names = {str(item.name): self._path(item) for item in listed}
        close = [
            *(paths[c] for c in difflib.get_close_matches(entry.text, paths, n=3, cutoff=0.5)),
            *(names[c] for c in difflib.get_close_matches(entry.text, names, n=3, cutoff=0.6)),
        ]
        known = ", ".join(map(repr, list(dict.fromkeys(close))[:3]))
        hint = f"the closest are {known}" if known else "the token's user sees none like it"
        return f"the site has no {entry.kind.words} {entry.text!r}: {hint}"

    def _refreshable(self, entry: Entry, item: Item) -> Refreshable:
        return Refreshable(entry, str(item.id), str(item.name), self._path(item), item.updated_at)

    def _path(self, item: Item) -> str:
        if self._projects is None:
            projects = self._session.call(
                lambda server: list(TSC.Pager(server.projects)), doing="listing the projects"
            )
            self._projects = {str(p.id): path for path, p in project_paths(projects).items()}
        project = self._projects.get(str(item.project_id))
        # The project of a shared item may be hidden from the user.
        return f"{project or item.project_name}/{item.name}"

    def _list(self, kind: Kind, name: str | None) -> list[Item]:
        def read(server: TSC.Server) -> list[Item]:
            options = TSC.RequestOptions(pagesize=_PAGE)  # type: ignore[no-untyped-call]
            if name is not None:
                options.filter.add(
                    TSC.Filter(  # type: ignore[no-untyped-call]
                        TSC.RequestOptions.Field.Name, TSC.RequestOptions.Operator.Equals, name
                    )
                )
            return list(TSC.Pager(_endpoint(server, kind), options))

        return self._session.call(read, doing=f"looking for a {kind.words}")


def _by_luid(session: TableauSession, kind: Kind, luid: str) -> Item | None:
    def look(server: TSC.Server) -> Item | None:
        try:
            found: Item = _endpoint(server, kind).get_by_id(luid)
        except ServerResponseError as error:
            if str(error.code).startswith("404"):
                return None
            raise
        return found

    return session.call(look, doing=f"looking for {kind.words} {luid}")


def _endpoint(server: TSC.Server, kind: Kind) -> Any:  # noqa: ANN401 - two classes with the same calls
    return server.datasources if kind is Kind.DATASOURCE else server.workbooks
