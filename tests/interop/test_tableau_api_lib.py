"""The sandbox speaks as Tableau Server does: unmodified tableau-api-lib publishes to it.

It speaks JSON where tableauserverclient and tabcmd speak XML, and publishes in one request, without
a job. The certificate is checked: ``requests`` finds the throw-away authority by
``REQUESTS_CA_BUNDLE``.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from tableauhyperapi import Connection, CreateMode, HyperProcess, Telemetry
from tests.interop.peers import TABLEAU_API_LIB
from tests.interop.strangers import read_with
from tests.target.dependents import EXTRACT_TDS

from contoso_sandbox.contoso import Contoso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def contoso(contoso_home: Callable[..., Path]) -> Iterator[Contoso]:
    with Contoso.start(contoso_home(0.05, 7)) as box:
        yield box


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two extracts, one row in the first and two in the second; one over a database."""
    folder = tmp_path_factory.mktemp("extracts")
    first, second = folder / "first.hyper", folder / "second.hyper"
    telemetry = Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU
    with HyperProcess(telemetry, parameters={"log_config": ""}) as hyperd:
        for path, values in ((first, "(1, 0.10)"), (second, "(1, 0.10), (2, -0.05)")):
            with Connection(hyperd.endpoint, path, CreateMode.CREATE) as connection:
                connection.execute_command('CREATE SCHEMA "Extract"')
                connection.execute_command(
                    f'CREATE TABLE "Extract"."Extract" AS SELECT * FROM (VALUES {values}) v(k, a)'  # noqa: S608 - ours
                )
    package = folder / "sourced.tdsx"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("x.tds", EXTRACT_TDS)
        archive.write(first, "Data/x.hyper")
    return first, second, package


@pytest.fixture(scope="module")
def seen(contoso: Contoso, files: tuple[Path, Path, Path]) -> dict[str, Any]:
    contoso.tableau.add_token("stranger", "its secret")
    return read_with(
        TABLEAU_API_LIB,
        "tableau_api_lib_publishes.py",
        *(contoso.tableau_url, "contoso", "stranger", "its secret", *files),
        REQUESTS_CA_BUNDLE=str(contoso.ca_bundle),
    )


def test_signs_in_and_out(seen: dict[str, Any]) -> None:
    assert (seen["signed in"], seen["signed out"]) == (200, 204)
    assert seen["version"] == "3.29"


def test_publishes_and_overwrites_one_data_source(seen: dict[str, Any]) -> None:
    assert seen["published"]["name"] == "Ledger by a stranger"
    assert seen["overwritten"]["id"] == seen["published"]["id"]
    assert "Ledger by a stranger" in seen["listed"]
    assert seen["found"]["id"] == seen["published"]["id"]
    assert seen["connections"]["connection"]


def test_refreshes_and_follows_the_job(seen: dict[str, Any]) -> None:
    assert seen["nothing to refresh"] == 409
    assert seen["refreshed"] == 202
    assert seen["job"]["finishCode"] == "0"


def test_deletes_it(seen: dict[str, Any]) -> None:
    assert (seen["deleted"], seen["gone"]) == (204, 404)
