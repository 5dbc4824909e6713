"""Run in tableau-api-lib's own environment: what its users do with a published extract.

``tableau_api_lib_publishes.py URL SITE TOKEN SECRET FIRST SECOND`` prints one JSON document.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from tableau_api_lib import (  # type: ignore[import-not-found]  # another environment's package
    TableauServerConnection,
)
from tableau_api_lib.utils.querying import (  # type: ignore[import-not-found]  # as above
    get_datasources_dataframe,
    get_projects_dataframe,
)

NAME = "Ledger by a stranger"


def main(*arguments: str) -> dict[str, Any]:
    """Publish a file, overwrite it, look; publish what has a source, refresh that; delete."""
    url, site, token, secret, first, second, package = arguments
    config = {
        "contoso": {
            "server": url,
            "api_version": "3.29",
            "personal_access_token_name": token,
            "personal_access_token_secret": secret,
            "site_name": site,
            "site_url": site,
        }
    }
    connection = TableauServerConnection(config, env="contoso")
    seen: dict[str, Any] = {"signed in": connection.sign_in().status_code}
    seen["version"] = connection.server_info().json()["serverInfo"]["restApiVersion"]
    projects = get_projects_dataframe(connection)
    project = projects[projects["name"] == "default"]["id"].iloc[0]
    published = connection.publish_data_source(first, NAME, project)
    seen["published"] = published.json()["datasource"]
    seen["overwritten"] = connection.publish_data_source(second, NAME, project).json()["datasource"]
    luid = seen["published"]["id"]
    seen["listed"] = get_datasources_dataframe(connection)["name"].tolist()
    seen["found"] = connection.query_data_source(luid).json()["datasource"]
    seen["connections"] = connection.query_data_source_connections(luid).json()["connections"]
    seen["nothing to refresh"] = connection.update_data_source_now(luid).status_code
    sourced = connection.publish_data_source(package, f"{NAME}, sourced", project)
    refresh = connection.update_data_source_now(sourced.json()["datasource"]["id"])
    seen["refreshed"] = refresh.status_code
    job = refresh.json()["job"]["id"]
    while "completedAt" not in (state := connection.query_job(job).json()["job"]):
        time.sleep(0.05)
    seen["job"] = state
    seen["deleted"] = connection.delete_data_source(luid).status_code
    seen["gone"] = connection.query_data_source(luid).status_code
    seen["signed out"] = connection.sign_out().status_code
    return seen


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout)
