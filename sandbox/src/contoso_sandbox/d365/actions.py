"""The few actions that clients call to learn what they talk to."""

from __future__ import annotations

import json

#: Versions that the sandbox claims; the shapes of entities follow 10.0.47.
_VERSIONS = {
    "GetApplicationVersion": "10.0.2263.54",
    "GetApplicationBuildVersion": "10.0.2263.54",
    "GetPlatformBuildVersion": "7.0.7690.48",
}


def invoke(action: str, *, root: str) -> bytes | None:
    """Answer an action of ``DataManagementEntities``; ``None`` where there is none of that name."""
    if action not in _VERSIONS:
        return None
    answer = {"@odata.context": f"{root}$metadata#Edm.String", "value": _VERSIONS[action]}
    return json.dumps(answer, separators=(",", ":")).encode()
