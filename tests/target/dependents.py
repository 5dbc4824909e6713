"""What depends on delivered data: an extract over a database, workbooks over data sources."""

from __future__ import annotations

import itertools
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tableauserverclient as TSC  # noqa: N812 - its own documentation's name

from target_tableau_hyper.extract.engine import TABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.target.harness import Tableau

    from contoso_sandbox.tableau.workbooks import Workbook
    from target_tableau_hyper.extract.engine import Engine

#: A data source with an extract of its own, over a database: what can be refreshed.
EXTRACT_TDS = """<?xml version='1.0' encoding='utf-8' ?>
<datasource formatted-name='x' inline='true' version='18.1'>
 <connection class='federated'>
  <named-connections><named-connection caption='x' name='x'>
   <connection class='postgres' dbname='finance' server='db.contoso.com'/>
  </named-connection></named-connections>
 </connection>
 <extract count='-1' enabled='true' units='records'>
  <connection class='hyper' dbname='Data/x.hyper' schema='Extract' tablename='Extract'/></extract>
</datasource>"""


@dataclass
class Dependents:
    """Makes things that can be refreshed, in the project ``Finance``."""

    tableau: Tableau
    engine: Engine
    directory: Path
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def project_id(self, name: str = "Finance", parent_id: str | None = None) -> str:
        with self.tableau.client() as client:
            found = {(p.name, p.parent_id): p for p in TSC.Pager(client.projects)}
            project = found.get((name, parent_id)) or client.projects.create(
                TSC.ProjectItem(name, parent_id=parent_id)
            )
        return str(project.id)

    def hyper(self, *values: int) -> Path:
        """A file with these rows."""
        path = self.directory / f"{next(self._numbers)}.hyper"
        with self.engine.open(path, create=True) as database:
            database.run('CREATE SCHEMA "Extract"')
            database.run(f"CREATE TABLE {TABLE} (k INTEGER)")
            for value in values:
                database.run(f"INSERT INTO {TABLE} VALUES ({value})")  # noqa: S608 - a number
        return path

    def extract(self, name: str, *values: int, project_id: str = "") -> str:
        """A data source whose data come from a database; returns its LUID."""
        package = self.directory / f"{next(self._numbers)}.tdsx"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("x.tds", EXTRACT_TDS)
            archive.write(self.hyper(*values), "Data/x.hyper")
        item = TSC.DatasourceItem(project_id or self.project_id(), name=name)
        with self.tableau.client() as client:
            return str(client.datasources.publish(item, package, "CreateNew").id)

    def workbook(self, name: str, *datasources: str, extract: bool = True) -> Workbook:
        return self.tableau.server.add_workbook(
            name, datasources, project_id=self.project_id(), extract=extract
        )

    def seen(self, name: str) -> dict[str, int]:
        """Revisions that a workbook's extract was made from."""
        (book,) = [one for one in self.tableau.server.workbooks() if one.name == name]
        return dict(book.seen)

    def refreshes(self) -> list[tuple[str, int | None]]:
        """Names and finish codes of the refresh jobs, oldest first, since the test began."""
        return [
            (job.datasource_name, job.finish_code)
            for job in self.tableau.server.jobs()[self.first_job :]
            if job.type == "RefreshExtract"
        ]

    first_job: int = 0

    def asked(self) -> int:
        return self.tableau.calls("POST", "/refresh")

    def setting(self, *workbooks: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        return {"refresh": {"workbooks": [f"Finance/{name}" for name in workbooks], **more}}
