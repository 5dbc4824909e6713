"""The sandbox speaks as F&O does: unmodified d365fo-client reads its data, metadata and actions.

d365fo-client 0.3.7 asks for Python 3.13 and is installed regardless: what is used here runs on
3.11. It checks the certificate (``verify_ssl``), trusting the throw-away authority by
``SSL_CERT_FILE``.

Of its calls, one is left out: keys with an apostrophe, which it does not double as OData wants
(URL conventions, section 5.1.1.6.1), so that the server rightly refuses.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.interop.peers import D365FO_CLIENT, scripts_of, shell
from tests.interop.strangers import edm_type, read_with, vendors_of

from contoso_sandbox.contoso import Contoso

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What it sends to any server on this machine instead of asking for a token.
LOCAL_TOKEN = "mock-token-for-localhost"


@pytest.fixture(scope="module")
def contoso(contoso_home: Callable[..., Path]) -> Iterator[Contoso]:
    with Contoso.start(contoso_home(0.05, 7), fixed_tokens=(LOCAL_TOKEN,)) as box:
        yield box


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def read(contoso: Contoso, home: Path) -> dict[str, Any]:
    script = "d365fo_client_reads.py"
    variables = {"HOME": str(home), "SSL_CERT_FILE": str(contoso.ca_bundle)}
    return read_with(D365FO_CLIENT, script, contoso.d365_url, home / "cache", **variables)


def test_connects_to_data_and_metadata(read: dict[str, Any]) -> None:
    assert (read["data"], read["metadata"]) == (True, True)


def test_reads_the_metadata_service(read: dict[str, Any], contoso: Contoso) -> None:
    vendors = contoso.world.environment.entity_sets["VendorsV2"]
    assert read["entity"] == {
        "set": "VendorsV2",
        "properties": [
            [p.name, edm_type(p), p.ax_type, p.name in vendors.key] for p in vendors.properties
        ],
        "same by set": True,
    }
    assert read["enum"] == [["No", 0], ["Yes", 1]]
    assert read["found"]["VendorsV2"] == "Master"
    assert {"VendorGroups", "VendTransBiEntities"} <= read["found"].keys()
    assert "MainAccounts" not in read["found"]
    assert read["label"] == "Company"


def test_reads_rows_of_another_company(read: dict[str, Any], contoso: Contoso) -> None:
    accounts = sorted(vendors_of(contoso, "demf"))
    page = read["page"]
    assert page["@odata.count"] == len(accounts)
    assert len(page["value"]) == 3
    assert all(
        row.keys() == {"@odata.etag", "VendorAccountNumber", "CreditLimit"} for row in page["value"]
    )
    assert {row["VendorAccountNumber"] for row in page["value"]} <= set(accounts)
    assert read["by key"]["VendorOrganizationName"] == "Müller & Söhne GmbH"


def test_calls_actions(read: dict[str, Any]) -> None:
    assert read["version"].startswith("10.0.")
    suite = next(m for m in read["modules"] if m["name"] == "ApplicationSuite")
    assert suite == {
        "name": "ApplicationSuite",
        "version": read["version"],
        "module_id": "ApplicationSuite",
        "publisher": "Microsoft Corporation",
        "display_name": "Application Suite",
    }


def test_its_command_prints_a_row(read: dict[str, Any], contoso: Contoso, home: Path) -> None:
    del read  # only so that the command comes to a home that its library has used
    arguments = ("--base-url", contoso.d365_url, "--output", "json", "--verify-ssl", "true")
    done = subprocess.run(
        [
            *(scripts_of(D365FO_CLIENT) / "d365fo-client", *arguments),
            *("entity", "get", "VendorsV2", "--top", "1"),
        ],
        capture_output=True,
        env=shell(HOME=str(home), SSL_CERT_FILE=str(contoso.ca_bundle)),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    printed = done.stdout.decode()
    (row,) = json.loads(printed[printed.index("[") :])
    assert row["VendorAccountNumber"] in vendors_of(contoso, contoso.world.default_company)
