"""How far this machine's clock is from a server's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from pipeline_core.errors import ConfigError
from tap_d365fo.access.session import new_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline_ops.check.findings import Checklist

#: The header tells whole seconds, and answers travel.
_TOLERANCE = timedelta(seconds=30)

#: Signed sign-ins (certificate, connected app) are good for five minutes, and the tap reads
#: changes of the last five minutes again: beyond it, changes may be missed.
_LARGEST = timedelta(minutes=5)

_TIMEOUT_S = (10, 30)


def check_clock(
    checks: Checklist,
    area: str,
    url: str,
    ca_bundle: Path | None,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Compare clocks by the ``Date`` of any answer; no credentials are sent.

    That there is no answer is for the checks to tell that need one.
    """
    subject = "clock"
    host = urlsplit(url).netloc
    try:
        began, started = now(), time.monotonic()
        with new_session(ca_bundle).get(
            url, allow_redirects=False, stream=True, timeout=_TIMEOUT_S
        ) as response:
            sent = parsedate_to_datetime(response.headers["Date"])
        middle = began + timedelta(seconds=time.monotonic() - started) / 2
    except (requests.RequestException, KeyError, ValueError):
        checks.warn(
            area, subject, f"{host} tells no time", "compare the clocks by hand, if in doubt"
        )
        return
    ahead = middle - (sent if sent.tzinfo else sent.replace(tzinfo=UTC))
    if abs(ahead) < _TOLERANCE:
        checks.ok(area, subject, f"equal to that of {host}, to {_TOLERANCE.seconds} seconds")
        return
    where = "ahead of" if ahead > timedelta(0) else "behind"
    found = f"this machine is {abs(ahead).total_seconds():,.0f} s {where} {host}"
    todo = "let it follow a time server (timedatectl set-ntp true)"
    if abs(ahead) < _LARGEST:
        checks.warn(area, subject, found, todo)
    else:
        checks.fail(area, subject, ConfigError(f"{found}; {todo}"))
