"""HTTP habits that tableauserverclient lacks: safe retries, one authority, no redirects."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from pipeline_core.errors import TransientError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

#: Seconds to connect, and between two bytes of an answer. A publish request answers late.
TIMEOUT_S = (10.0, 300.0)

#: A server that asks for a longer pause is told to the operator instead of slept through.
LONGEST_WAIT_S = 300.0

#: First wait before a connection is tried again; each further one is twice as long.
BACKOFF_S = 0.5

_TRIES = 4
_TOO_MANY_REQUESTS = 429


class SafeRetry(Retry):
    """Repeats what surely had no effect: a connection never made, and 429, "not executed".

    Whatever may have been executed is left to the caller, who knows what may happen twice.
    """

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: FBT001, FBT002 - urllib3's signature
        """Whether an answer calls for another try."""
        del method, has_retry_after
        return bool(self.total) and status_code == _TOO_MANY_REQUESTS

    def sleep_for_retry(self, response: BaseHTTPResponse) -> bool:
        """Wait as long as Retry-After says.

        Raises:
            TransientError: that would be longer than anybody waits.
        """
        wait_s = self.get_retry_after(response)
        if wait_s is not None and wait_s > LONGEST_WAIT_S:
            message = "Tableau asks for a longer pause than a run can make"
            raise TransientError(
                message, retry_at=datetime.now(UTC) + timedelta(seconds=float(wait_s))
            )
        if not wait_s:
            return False
        time.sleep(wait_s)
        return True


def new_session() -> requests.Session:
    """A session for tableauserverclient's ``session_factory``."""
    session = requests.Session()
    retry = SafeRetry(
        total=_TRIES,
        connect=_TRIES,
        read=0,
        other=0,
        redirect=0,
        backoff_factor=BACKOFF_S,
        backoff_jitter=0.5,
        respect_retry_after_header=True,
        raise_on_status=False,
    )
    adapter = HTTPAdapter(max_retries=retry)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    # An auth object of any kind keeps requests from sending what ~/.netrc has for this host.
    session.auth = _add_nothing
    # tableauserverclient walks redirects by hand and would send the session token to any host.
    session.max_redirects = 0
    return session


def _add_nothing(request: Any) -> Any:  # noqa: ANN401 - requests' own type is internal
    return request
