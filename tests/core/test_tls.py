"""An untrusted certificate is no connection that broke."""

from __future__ import annotations

import ssl

import pytest
import requests
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import MaxRetryError, SSLError

from pipeline_core.tls import is_untrusted

UNTRUSTED = ssl.SSLCertVerificationError("self-signed certificate")
BROKEN = ssl.SSLEOFError("EOF occurred in violation of protocol")
POOL = HTTPSConnectionPool("tableau.example")


def chained(cause: BaseException) -> Exception:
    outer = requests.ConnectionError("outer")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "untrusted"),
    [
        pytest.param(UNTRUSTED, True, id="bare"),
        pytest.param(
            requests.exceptions.SSLError(MaxRetryError(POOL, "/", SSLError(UNTRUSTED))),
            True,
            id="as requests wraps it",
        ),
        pytest.param(chained(UNTRUSTED), True, id="as a cause"),
        pytest.param(
            requests.exceptions.SSLError(MaxRetryError(POOL, "/", SSLError(BROKEN))),
            False,
            id="dropped in the handshake",
        ),
        pytest.param(requests.ConnectionError("reset"), False, id="reset"),
    ],
)
def test_only_a_failed_verification_counts(error: Exception, untrusted: bool) -> None:  # noqa: FBT001
    assert is_untrusted(error) is untrusted
