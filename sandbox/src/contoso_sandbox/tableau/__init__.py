"""A Tableau Server on loopback: REST API, background jobs, real .hyper files behind them."""

from contoso_sandbox.tableau.datasource import Datasource
from contoso_sandbox.tableau.jobs import Job
from contoso_sandbox.tableau.requestlog import Request
from contoso_sandbox.tableau.server import TableauServer

__all__ = ["Datasource", "Job", "Request", "TableauServer"]
