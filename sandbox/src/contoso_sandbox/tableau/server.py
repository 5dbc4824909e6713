"""`TableauServer`: wires the rooms together and offers what tests and the demo need of them."""

from __future__ import annotations

import json
import shutil
import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.backgrounder import Backgrounder
from contoso_sandbox.tableau.connected_apps import ConnectedApps
from contoso_sandbox.tableau.courier import Courier, DeliveryScript
from contoso_sandbox.tableau.datasources import Datasources
from contoso_sandbox.tableau.hyperd import Hyperd
from contoso_sandbox.tableau.jobs import Job, Jobs, JobType
from contoso_sandbox.tableau.packages import read_manifest
from contoso_sandbox.tableau.projects import Projects
from contoso_sandbox.tableau.publish_jobs import PublishWork
from contoso_sandbox.tableau.publishing import Publisher
from contoso_sandbox.tableau.refreshes import Refreshes, RefreshScript, RefreshWork
from contoso_sandbox.tableau.requestlog import Request, RequestLog
from contoso_sandbox.tableau.rest.app import create_app
from contoso_sandbox.tableau.rooms import Rooms
from contoso_sandbox.tableau.session import Sessions
from contoso_sandbox.tableau.site import Accounts, Site
from contoso_sandbox.tableau.store import Database
from contoso_sandbox.tableau.times import utc_now
from contoso_sandbox.tableau.updates import Updater, Updates
from contoso_sandbox.tableau.uploads import Uploads
from contoso_sandbox.tableau.webhooks import Webhooks
from contoso_sandbox.tableau.workbooks import Workbooks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from starlette.types import ASGIApp

    from contoso_sandbox.tableau.datasource import Datasource
    from contoso_sandbox.tableau.documents import Document
    from contoso_sandbox.tableau.publishing import Refusal
    from contoso_sandbox.tableau.times import Clock
    from contoso_sandbox.tableau.webhooks import Webhook
    from contoso_sandbox.tableau.workbooks import Workbook

_ADMINISTRATOR = "admin"


class TableauServer:
    """A Tableau Server with one site, served by ``app``.

    Attributes:
        app: The ASGI application.
        requests: What was asked and answered, oldest first.
        site_id: LUID of the site.
        refreshes: What becomes of refreshes.
        deliveries: What becomes of messages to webhooks, and which were sent.
        publishing_seconds: How much longer than `job_seconds` publishes and updates take; jobs that
            are not done heed a change.
    """

    app: ASGIApp
    requests: list[Request]
    site_id: str
    refreshes: RefreshScript
    deliveries: DeliveryScript
    publishing_seconds: float

    def __init__(
        self,
        directory: Path,
        *,
        job_seconds: float = 0.3,
        token_minutes: int = 120,
        site: str = "contoso",
        product_version: str = "2026.2.0",
        rest_api_version: str = "3.29",
        clock: Clock = utc_now,
        middleware: Callable[[ASGIApp], ASGIApp] | None = None,
    ) -> None:
        """Open the server whose state is in ``directory``, or a new one.

        Args:
            directory: Holds all state; a server opened on it again goes on where this one stopped.
            job_seconds: Least time that a background job takes.
            token_minutes: Life of a session from its sign-in: 240 on Tableau Server, 120 on Cloud.
            site: Content URL of the only site, which is the default site (``""``) too.
            product_version: Decides which .hyper formats and shapes are taken.
            rest_api_version: The highest that is served.
            clock: Stamps everything and decides what has expired.
            middleware: Wrapped around the application, within the request log: the place for
                scripted faults.
        """
        self._exports = directory / "exports"
        scratch = directory / "scratch"
        for folder in (self._exports, scratch):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._database = Database(directory / "state.sqlite")
        self._hyperd = Hyperd()
        content = threading.RLock()
        place = _site(directory / "site.json", site)
        accounts = Accounts(self._database, clock)
        administrator = accounts.add_user(_ADMINISTRATOR)
        self._apps = ConnectedApps(self._database, accounts, clock)
        projects = Projects(self._database, clock, administrator.id)
        datasources = Datasources(self._database, clock, directory / "datasources")
        publisher = Publisher(datasources, projects, self._hyperd, product_version)
        jobs = Jobs(self._database, clock, directory / "jobs")
        uploads = Uploads(directory / "uploads")
        workbooks = Workbooks(self._database, clock)
        self._webhooks = Webhooks(self._database, clock)
        self._courier = Courier(self._webhooks, place.id)
        self.deliveries = self._courier.script
        self.refreshes = RefreshScript()
        self.publishing_seconds = 0.0
        self._worker = Backgrounder(
            jobs,
            {
                JobType.PUBLISH: PublishWork(publisher, jobs).prepare,
                JobType.UPDATE: Updater(datasources, jobs, self._hyperd).prepare,
            },
            database=self._database,
            content=content,
            seconds=job_seconds,
            longer=lambda _: self.publishing_seconds,
        )
        # A refresh that takes long holds up no publish.
        refresh = RefreshWork(datasources, workbooks, jobs, self.refreshes, clock)
        self._refreshing = Backgrounder(
            jobs,
            {JobType.REFRESH: refresh.prepare},
            database=self._database,
            content=content,
            seconds=job_seconds,
            longer=self.refreshes.seconds,
            held=self.refreshes.is_held,
            ended=self._courier.job_ended,
        )
        self._rooms = Rooms(
            product_version=product_version,
            rest_api_version=rest_api_version,
            clock=clock,
            database=self._database,
            site=place,
            accounts=accounts,
            sessions=Sessions(
                self._database,
                accounts,
                self._apps,
                site=place,
                clock=clock,
                lifetime=timedelta(minutes=token_minutes),
            ),
            projects=projects,
            uploads=uploads,
            datasources=datasources,
            workbooks=workbooks,
            publisher=publisher,
            updates=Updates(self._database, clock, uploads, jobs, self._worker),
            jobs=jobs,
            worker=self._worker,
            refreshes=Refreshes(self._database, jobs, self._refreshing, clock),
            webhooks=self._webhooks,
            courier=self._courier,
            scratch=scratch,
            content=content,
        )
        self.site_id = place.id
        self.requests = []
        app = create_app(self._rooms)
        self.app = RequestLog(middleware(app) if middleware else app, self.requests)

    def add_token(self, name: str, secret: str, user: str = "analyst") -> None:
        """Add a personal access token for ``user``, who is added too if need be."""
        self._rooms.accounts.add_token(name, secret, user)

    def add_connected_app(self, client_id: str, secret_id: str, secret: str) -> None:
        """Trust a connected app with this secret."""
        self._apps.add(client_id, secret_id, secret)

    def add_user(self, name: str, password: str) -> None:
        """Add a user who may sign in by name and password."""
        self._rooms.accounts.add_user(name, password)

    def refuse_packages(self, refusal: Refusal) -> None:
        """Refuse every .tdsx from now on, at once or in its job; or take them again."""
        self._rooms.publisher.refusal = refusal

    def package(self, name: str) -> Document:
        """What the document of a published .tdsx says.

        Raises:
            LookupError: there is no such data source, or it was not published as a package.
        """
        item = self._found(name, None)
        content = None
        if item.type == "tdsx":
            with self._rooms.content:
                content = read_manifest(self._rooms.datasources.package_file(item)).content
        if content is None:
            message = f"'{name}' is no live packaged data source"
            raise LookupError(message)
        return content

    def datasources(self) -> list[Datasource]:
        """All published data sources, in the order of their first publish."""
        return self._rooms.datasources.all()

    def add_workbook(
        self,
        name: str,
        datasources: Sequence[str] = (),
        *,
        project_id: str | None = None,
        extract: bool = True,
    ) -> Workbook:
        """Add a workbook that is connected to published data sources.

        Args:
            name: Its name.
            datasources: LUIDs of the data sources.
            project_id: LUID of its project; the default project's if there is none.
            extract: Whether it keeps an extract of its own, which can be refreshed.
        """
        rooms = self._rooms
        return rooms.workbooks.add(
            name,
            project_id or rooms.projects.default().id,
            rooms.accounts.add_user(_ADMINISTRATOR).id,
            [rooms.datasources.get(one) for one in datasources],
            extract=extract,
        )

    def workbooks(self) -> list[Workbook]:
        """All workbooks, in the order of their creation."""
        return self._rooms.workbooks.all()

    def webhooks(self) -> list[Webhook]:
        """All webhooks, oldest first."""
        return self._webhooks.all()

    def trust_receivers(self, ca_bundle: Path) -> None:
        """Trust the certificates of receivers of webhooks that this authority issued."""
        self._courier.trust(ca_bundle)

    def jobs(self) -> list[Job]:
        """All background jobs, oldest first."""
        return self._rooms.jobs.all()

    def hyper_file(self, name: str, project: str | None = None) -> Path:
        """A copy of the data of a published data source, for the caller to open.

        Every call makes a copy of its own, which lives until `close`.

        Args:
            name: Name of the data source.
            project: Name of its project, where several have a data source of that name.

        Raises:
            LookupError: there is no such data source, or more than one.
        """
        item = self._found(name, project)
        folder = self._exports / str(uuid.uuid4())
        folder.mkdir()
        copy = folder / f"{item.content_url}.hyper"
        with self._rooms.content:
            current = self._rooms.datasources.get(item.id)
            shutil.copyfile(self._rooms.datasources.hyper_file(current), copy)
        return copy

    def _found(self, name: str, project: str | None) -> Datasource:
        found = [
            item
            for item in self.datasources()
            if item.name == name and project in (None, item.project)
        ]
        if len(found) != 1:
            message = f"{len(found)} published data sources are named '{name}'"
            raise LookupError(message)
        return found[0]

    def close(self) -> None:
        """Stop the job threads and hyperd; undone jobs wait for the next server on this state."""
        self._worker.close()
        self._refreshing.close()
        self._courier.close()
        self._hyperd.close()
        self._database.close()
        shutil.rmtree(self._exports, ignore_errors=True)


def _site(path: Path, content_url: str) -> Site:
    """The site, whose LUID is chosen once and then kept."""
    if not path.exists():
        path.write_text(json.dumps({"id": str(uuid.uuid4())}))
    return Site(json.loads(path.read_text())["id"], content_url, content_url.capitalize())
