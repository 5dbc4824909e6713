"""Programs of others that read the sandbox, each run in its own environment."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.books import expected_rows
from tests.interop.peers import scripts_of, shell

from contoso_sandbox.model import EDM_TYPES, AxType

if TYPE_CHECKING:
    from tests.interop.peers import Peer

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.model import Property

_SCRIPTS = Path(__file__).with_name("clients")


def read_with(peer: Peer, script: str, *arguments: str | Path, **variables: str) -> dict[str, Any]:
    """What a script prints that runs in the peer's environment."""
    done = subprocess.run(
        [scripts_of(peer) / "python", _SCRIPTS / script, *arguments],
        capture_output=True,
        env=shell(**variables),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    document: dict[str, Any] = json.loads(done.stdout, parse_float=Decimal)
    return document


def edm_type(prop: Property) -> str:
    """The type under which a property is published."""
    if prop.ax_type is AxType.ENUM:
        return f"Microsoft.Dynamics.DataEntities.{prop.enum}"
    return EDM_TYPES[prop.ax_type]


def vendors_of(contoso: Contoso, company: str) -> set[str]:
    """Accounts of all vendors of a company."""
    vendors = contoso.world.environment.entity_sets["VendorsV2"]
    rows = expected_rows(contoso.world, vendors)
    return {account for (area, account) in rows if area == company}
