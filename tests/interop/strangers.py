"""Programs of others that read the sandbox, each run in its own environment."""

from __future__ import annotations

import json
import subprocess
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.books import expected_rows
from tests.interop.peers import scripts_of, shell

from contoso_sandbox.model import EDM_TYPES, AxType

if TYPE_CHECKING:
    from tests.interop.peers import Peer

    from contoso_sandbox.contoso import Contoso
    from contoso_sandbox.model import EntitySet, Property

#: What F&O sends where a cell says nothing; the books have null.
_NOTHING = {
    AxType.DATE: "1900-01-01T12:00:00Z",
    AxType.UTC_DATE_TIME: "1900-01-01T00:00:00Z",
    AxType.GUID: "00000000-0000-0000-0000-000000000000",
}

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


def as_in_the_books(row: dict[str, Any], entity_set: EntitySet) -> dict[str, Any]:
    """A printed row as the books hold it: amounts as numbers, F&O's stand-ins for nothing gone."""
    kinds = {p.name: p.ax_type for p in entity_set.properties}
    return {
        name: _as_in_the_books(value, kinds[name], in_key=name in entity_set.key)
        if name != "dataAreaId"
        else value.lower()
        for name, value in row.items()
    }


def _as_in_the_books(value: Any, kind: AxType, *, in_key: bool) -> Any:  # noqa: ANN401 - a cell
    if value == _NOTHING.get(kind) and not in_key:
        return None
    if kind is AxType.REAL:
        return Decimal(value)
    if kind is AxType.DATE:
        return date.fromisoformat(value[:10])
    return datetime.fromisoformat(value) if kind is AxType.UTC_DATE_TIME else value


def vendors_of(contoso: Contoso, company: str) -> set[str]:
    """Accounts of all vendors of a company."""
    vendors = contoso.world.environment.entity_sets["VendorsV2"]
    rows = expected_rows(contoso.world, vendors)
    return {account for (area, account) in rows if area == company}
