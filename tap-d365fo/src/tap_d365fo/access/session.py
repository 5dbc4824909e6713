"""One HTTP session, set up so that nothing in the environment changes what it trusts or sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from pathlib import Path


def new_session(ca_bundle: Path | None, *, connections: int = 4) -> requests.Session:
    """A verifying session.

    ``trust_env`` is off: a ``.netrc`` entry would replace the bearer token, and a
    ``REQUESTS_CA_BUNDLE`` would win over ``ca_bundle``. Retrying is the caller's business.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = str(ca_bundle) if ca_bundle else True
    session.mount("https://", HTTPAdapter(pool_connections=2, pool_maxsize=connections))
    return session
