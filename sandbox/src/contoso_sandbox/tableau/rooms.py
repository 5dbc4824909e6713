"""The parts of one simulated server, as request handlers reach them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from contoso_sandbox.tableau.backgrounder import Backgrounder
    from contoso_sandbox.tableau.courier import Courier
    from contoso_sandbox.tableau.datasources import Datasources
    from contoso_sandbox.tableau.jobs import Jobs
    from contoso_sandbox.tableau.projects import Projects
    from contoso_sandbox.tableau.publishing import Publisher
    from contoso_sandbox.tableau.refreshes import Refreshes
    from contoso_sandbox.tableau.session import Sessions
    from contoso_sandbox.tableau.site import Accounts, Site
    from contoso_sandbox.tableau.store import Database
    from contoso_sandbox.tableau.times import Clock
    from contoso_sandbox.tableau.updates import Updates
    from contoso_sandbox.tableau.uploads import Uploads
    from contoso_sandbox.tableau.webhooks import Webhooks
    from contoso_sandbox.tableau.workbooks import Workbooks


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that handlers use.

    Attributes:
        scratch: Folder for files of the requests at hand.
        content: Held while published data change, so that two changes never start from the same
            revision.
    """

    product_version: str
    rest_api_version: str
    clock: Clock
    database: Database
    site: Site
    accounts: Accounts
    sessions: Sessions
    projects: Projects
    uploads: Uploads
    datasources: Datasources
    workbooks: Workbooks
    publisher: Publisher
    updates: Updates
    jobs: Jobs
    worker: Backgrounder
    refreshes: Refreshes
    webhooks: Webhooks
    courier: Courier
    scratch: Path
    content: threading.RLock
