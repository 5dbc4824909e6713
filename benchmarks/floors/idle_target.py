"""A target that does nothing but give back the last state."""

from __future__ import annotations

import json
import sys


def main() -> None:
    """Read to the end."""
    state = None
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "STATE":
            state = message["value"]
    if state is not None:
        sys.stdout.write(json.dumps(state) + "\n")


if __name__ == "__main__":
    main()
