"""Floor of the tap: the same requests, unpacking and JSON decoding, and nothing else.

    python -m benchmarks.floors.bare_loop URL CA_BUNDLE TOKEN

Pages one after the other, each decoded by msgspec into dictionaries and let go.
"""

from __future__ import annotations

import sys

import msgspec
import requests


def main(url: str, ca_bundle: str, token: str) -> None:
    """Walk along the links."""
    following: str | None = url
    with requests.Session() as session:
        session.verify, session.trust_env = ca_bundle, False
        session.headers["Authorization"] = f"Bearer {token}"
        while following:
            answer = session.get(following, timeout=300)
            answer.raise_for_status()
            page = msgspec.json.decode(answer.content)
            following = page.get("@odata.nextLink")


if __name__ == "__main__":
    main(*sys.argv[1:])
