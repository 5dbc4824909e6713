"""The identity of one run: in every ledger row, manifest and STATE."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def current_run_id(environment: Mapping[str, str] = os.environ) -> str:
    """``MELTANO_RUN_ID`` where the runner set it, else a new UUID of version 7.

    Meltano itself sets the variable for nobody, but reads it (``--run-id``) and lets plugins
    inherit it, so a caller that sets it has one id across Meltano's own tables, the tap and the
    target.
    """
    return environment.get("MELTANO_RUN_ID") or str(uuid7())


def uuid7() -> uuid.UUID:
    """A time-ordered UUID (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & (2**48 - 1)) << 80
    value |= 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)
