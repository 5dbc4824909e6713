"""Tell a certificate that is not trusted from a TLS connection that broke."""

from __future__ import annotations

import ssl


def is_untrusted(error: BaseException) -> bool:
    """Whether a certificate failed verification somewhere beneath ``error``.

    ``requests`` wraps every TLS failure in one class. A server or load balancer that restarts drops
    connections within the handshake; that passes by itself, an untrusted certificate does not.
    """
    seen: set[int] = set()
    waiting: list[BaseException] = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, ssl.SSLCertVerificationError):
            return True
        if id(current) in seen:
            continue
        seen.add(id(current))
        beneath = (current.__cause__, current.__context__, getattr(current, "reason", None))
        waiting += [b for b in (*beneath, *current.args) if isinstance(b, BaseException)]
    return False
