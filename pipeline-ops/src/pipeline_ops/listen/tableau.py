"""Sessions with Tableau, by the service's own identity.

It must be its own: a personal access token has one session, and the pipeline's run would end the
service's, and the other way round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline_core.errors import ConfigError
from pipeline_ops.listen.log import LOG
from target_tableau_hyper.settings import TableauSettings
from target_tableau_hyper.settings_identity import identity_of
from target_tableau_hyper.tableau.session import TableauSession

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline_ops.listen.settings import TableauSide


def session_opener(tableau: TableauSide) -> Callable[[], TableauSession]:
    """What makes sessions, each to be entered and left.

    Raises:
        ConfigError: the identity is not whole.
    """
    try:
        identity = identity_of(tableau.identity)
    except ConfigError as error:
        message = str(error).replace("tableau_", "tableau.").split("; set it, or")[0]
        raise ConfigError(message) from error
    settings = TableauSettings(
        server_url=tableau.server_url,
        site=tableau.site,
        identity=identity,
        project="default",
        create_project=False,
        ca_bundle=tableau.ca_bundle,
        chunk_bytes=2**20,
        job_timeout_s=tableau.job_timeout_s,
    )
    return lambda: TableauSession(settings, LOG)
