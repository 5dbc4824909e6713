"""Ask Tableau what the target would ask, through the target's own session."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from pipeline_core.errors import AuthError, ConfigError, PipelineError
from pipeline_ops.check.clock import check_clock
from pipeline_ops.check.findings import StopCheckingError
from target_tableau_hyper.extract.shelf import extracts_in
from target_tableau_hyper.refresh.find import find_all
from target_tableau_hyper.settings_identity import ConnectedApp, PersonalToken
from target_tableau_hyper.tableau.datasources import find_datasource
from target_tableau_hyper.tableau.identity import described
from target_tableau_hyper.tableau.projects import find_project, project_paths
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from pipeline_ops.check.findings import Checklist
    from target_tableau_hyper.settings import Settings, TableauSettings

AREA = "Tableau"

#: Site roles that can publish at all.
_PUBLISHERS = frozenset(
    {
        "Creator",
        "ExplorerCanPublish",
        "Publisher",
        "ServerAdministrator",
        "SiteAdministrator",
        "SiteAdministratorCreator",
        "SiteAdministratorExplorer",
    }
)

#: First release that takes a .hyper file of each format.
_TAKES_FORMAT = {2: (2021, 1), 3: (2023, 1), 4: (2024, 3)}

#: What the target's session needs, and the release that brought it; Update Data in Hyper came
#: with 3.12.
_REST_API, _RELEASE = (3, 14), "2021.4"

_logger = logging.getLogger("d365fo-tableau.check")


def check_tableau(checks: Checklist, settings: Settings, *, run_goes_on: bool) -> None:
    """Sign-in, site, projects, rights; nothing is published, and nothing is created.

    Args:
        checks: Gets the findings.
        settings: The target's.
        run_goes_on: Another process works in ``output_dir``.
    """
    tableau = settings.tableau
    if tableau is None:
        checks.warn(
            AREA,
            "publishing",
            "nothing is published: tableau_server_url is not set, or publish is none",
            "set it, unless files are all that you want",
        )
        return
    check_clock(checks, AREA, tableau.server_url, tableau.ca_bundle)
    if run_goes_on and isinstance(tableau.identity, PersonalToken):
        checks.warn(
            AREA,
            "sign-in",
            f"not asked: a run goes on, and signing in with {described(tableau.identity)} would "
            "end its session",
            "check again when the run has ended",
        )
        return
    session = TableauSession(replace(tableau, create_project=False), _logger)
    try:
        with checks.part(AREA, "sign-in"):
            session.sign_in()
        try:
            _SignedIn(checks, settings, tableau, session).check()
        finally:
            session.sign_out()
    except StopCheckingError:
        checks.warn(
            AREA, "everything else", "not asked, because it needs what failed", "see the row above"
        )


class _SignedIn:
    """One session under the eyes of one checklist."""

    def __init__(
        self,
        checks: Checklist,
        settings: Settings,
        tableau: TableauSettings,
        session: TableauSession,
    ) -> None:
        self._checks = checks
        self._settings = settings
        self._tableau = tableau
        self._session = session

    def check(self) -> None:
        self._user()
        self._version()
        self._site()
        self._projects()
        self._webhooks()
        if self._settings.refresh.entries:
            with self._checks.trying(AREA, "refresh"):
                items = find_all(self._session, self._settings.refresh.entries)
                paths = ", ".join(item.path for item in items)
                self._checks.ok(AREA, "refresh", f"found {paths}")

    def _user(self) -> None:
        who = described(self._tableau.identity)
        site = self._tableau.site or "default"
        try:
            user = self._session.call(
                lambda server: server.users.get_by_id(str(server.user_id)),
                doing="asking who we are",
            )
        except PipelineError:
            found = f"{who} is signed in to site {site}; its role cannot be seen"
            self._checks.warn(AREA, "sign-in", found, "see that its user has a role that publishes")
            return
        role = str(user.site_role)
        found = f"{who} is signed in to site {site} as {user.name} ({role})"
        if role in _PUBLISHERS:
            self._checks.ok(AREA, "sign-in", found)
        else:
            todo = "give the user the site role Creator or Explorer (can publish)"
            message = f"{found}, and that role cannot publish; {todo}"
            self._checks.fail(AREA, "sign-in", AuthError(message))

    def _version(self) -> None:
        info = self._session.call(
            lambda server: server.server_info.get(), doing="asking the version"
        )
        if info is None:
            return
        product, rest = str(info.product_version), str(info.rest_api_version)
        found = f"Tableau {product}, REST API {rest}"
        if _numbers(rest) < _REST_API:
            message = f"{found}: too old; update to {_RELEASE} or later"
            self._checks.fail(AREA, "server version", ConfigError(message))
            return
        hyper = self._settings.hyper_version
        needed = _TAKES_FORMAT[hyper]
        if _numbers(product) < needed:
            fitting = max(
                (f for f, r in _TAKES_FORMAT.items() if _numbers(product) >= r), default=2
            )
            message = (
                f"{found} takes no .hyper files of format {hyper}; set hyper_version to {fitting}, "
                f"or update to {needed[0]}.{needed[1]}"
            )
            self._checks.fail(AREA, "server version", ConfigError(message))
        else:
            self._checks.ok(AREA, "server version", f"{found}; takes .hyper format {hyper}")
        if self._settings.publish in {"auto", "update"}:
            scope = (
                "; a connected app needs the scope tableau:hyper_data:update"
                if isinstance(self._tableau.identity, ConnectedApp)
                else ""
            )
            self._checks.ok(
                AREA, "update of rows", f"REST API {rest} has Update Data in Hyper (PATCH){scope}"
            )

    def _site(self) -> None:
        try:
            site = self._session.call(
                lambda server: server.sites.get_by_id(str(server.site_id)), doing="asking the site"
            )
        except PipelineError:
            return  # not everybody may ask; that the site is there, the sign-in has shown
        if site.state and str(site.state) != "Active":
            message = f"site {site.name} is {site.state}; ask its administrator to resume it"
            self._checks.fail(AREA, "site", ConfigError(message))
        else:
            self._checks.ok(AREA, "site", f"{site.name} is active")

    def _projects(self) -> None:
        own = [
            entry.project
            for entries in (
                self._settings.datasources.single,
                self._settings.datasources.combined,
            )
            for entry in entries.values()
            if entry.project
        ]
        for path in dict.fromkeys([self._tableau.project, *own]):
            with self._checks.trying(AREA, f"project {path}"):
                self._project(path)

    def _project(self, path: str) -> None:
        subject = f"project {path}"
        if self._tableau.create_project and not self._exists(path):
            self._checks.warn(
                AREA,
                subject,
                "not there yet: the run will create it (create_project)",
                "its user must be a site administrator, or lead the project above",
            )
            return
        project = find_project(self._session, path)
        if project.writeable is False:
            message = (
                "the token's user may not publish there; grant the capability Publish on the "
                "project, or make the user its leader"
            )
            raise AuthError(message)
        if project.writeable is None:
            todo = "see that the user has the capability Publish on it"
            self._checks.warn(AREA, subject, "it is there; the server does not tell rights", todo)
        else:
            self._checks.ok(AREA, subject, "it is there, and may be published to")
        self._owners(path, project)

    def _exists(self, path: str) -> bool:
        projects = self._session.call(
            lambda server: list(TSC.Pager(server.projects)), doing="listing the projects"
        )
        return path in project_paths(projects)

    def _owners(self, path: str, project: TSC.ProjectItem) -> None:
        """What was published there by somebody else cannot be overwritten without a right."""
        server = self._session.server
        for name in self._names(path):
            found = find_datasource(self._session, name, project)
            if found is not None and found.owner_id and found.owner_id != server.user_id:
                self._checks.warn(
                    AREA,
                    f"data source {name}",
                    f"it is in project {path} already, and belongs to another user",
                    "grant the capability Overwrite on it, or change its owner",
                )

    def _names(self, path: str) -> list[str]:
        """Data sources that extracts and settings name in a project."""
        settings, default = self._settings, self._tableau.project
        names = []
        if settings.output_dir.is_dir():
            for store in extracts_in(settings.output_dir):
                entry = settings.datasource(store.stream)
                alone = settings.datasources.is_published_alone(store.stream)
                if alone and (entry.project or default) == path:
                    names.append(entry.name or store.stream)
        names += [
            combined.name or key
            for key, combined in settings.datasources.combined.items()
            if (combined.project or default) == path
        ]
        return list(dict.fromkeys(names))

    def _webhooks(self) -> None:
        todo = "let a site administrator's token register them; runs do not need them"
        try:
            hooks, _ = self._session.call(
                lambda server: server.webhooks.get(), doing="listing the webhooks", tries=1
            )
        except AuthError:
            found = "the user may not see or register webhooks"
            self._checks.warn(AREA, "webhooks", found, todo)
        except PipelineError:
            self._checks.warn(AREA, "webhooks", "the server does not answer about webhooks", todo)
        else:
            count = len(hooks)
            self._checks.ok(AREA, "webhooks", f"allowed; {count or 'none'} registered by this user")


def _numbers(version: str) -> tuple[int, ...]:
    """``2026.2.0`` as numbers; whatever follows them is left out."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
