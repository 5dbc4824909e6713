"""The few actions that clients call to learn what they talk to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Versions that the sandbox claims; the shapes of entities follow 10.0.47.
_APPLICATION, _PLATFORM = "10.0.2263.54", "7.0.7690.48"

#: Name, version and display name of some modules.
_MODULES = (
    ("ApplicationPlatform", _PLATFORM, "Application Platform"),
    ("ApplicationFoundation", _PLATFORM, "Application Foundation"),
    ("ApplicationSuite", _APPLICATION, "Application Suite"),
    ("GeneralLedger", _APPLICATION, "General Ledger"),
    ("Ledger", _APPLICATION, "Ledger"),
    ("Currency", _APPLICATION, "Currency"),
)

#: One text for each module, as ``mafzaal/d365fo-client`` takes it apart
#: (``src/d365fo_client/models.py``, ``ModuleVersionInfo``).
_INSTALLED = [
    f"Name: {name} | Version: {version} | Module: {name} | Publisher: Microsoft Corporation"
    f" | DisplayName: {display_name}"
    for name, version, display_name in _MODULES
]

#: By the set that they are bound to: name, Edm type of the answer, the answer.
_ACTIONS: Mapping[str, Mapping[str, tuple[str, object]]] = {
    "DataManagementEntities": {
        "GetApplicationVersion": ("Edm.String", _APPLICATION),
        "GetApplicationBuildVersion": ("Edm.String", _APPLICATION),
        "GetPlatformBuildVersion": ("Edm.String", _PLATFORM),
    },
    "SystemNotifications": {"GetInstalledModules": ("Collection(Edm.String)", _INSTALLED)},
}


def invoke(entity_set: str, action: str, *, root: str) -> bytes | None:
    """Answer an action of a set; ``None`` where the set has none of that name."""
    found = _ACTIONS.get(entity_set, {}).get(action)
    if found is None:
        return None
    edm_type, value = found
    answer = {"@odata.context": f"{root}$metadata#{edm_type}", "value": value}
    return json.dumps(answer, separators=(",", ":")).encode()
