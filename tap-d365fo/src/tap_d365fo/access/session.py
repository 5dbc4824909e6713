"""One HTTP session a worker, set up so that nothing in the environment changes what it sends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import requests

from tap_d365fo.access.watched import WatchedAdapter

if TYPE_CHECKING:
    from pathlib import Path


def new_session(ca_bundle: Path | None) -> requests.Session:
    """A verifying session.

    ``trust_env`` is off: a ``.netrc`` entry would replace the bearer token, and a
    ``REQUESTS_CA_BUNDLE`` would win over ``ca_bundle``. Retrying is the caller's business.
    """
    session = requests.Session()
    session.trust_env = False
    session.verify = str(ca_bundle) if ca_bundle else True
    session.mount("https://", WatchedAdapter(pool_connections=2, pool_maxsize=2))
    return session


class WorkerSessions:
    """A session for each thread that asks: ``requests`` does not promise that one can be shared."""

    def __init__(self, ca_bundle: Path | None) -> None:
        """Make sessions that trust ``ca_bundle``."""
        self._ca_bundle = ca_bundle
        self._of_thread = threading.local()

    def __call__(self) -> requests.Session:
        """The session of the calling thread."""
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = new_session(self._ca_bundle)
        return session
