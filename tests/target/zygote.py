"""Runs the command ``target-tableau-hyper`` in children of a process that has imported everything.

Reads one job a line from standard input (``{"env", "arguments", "input", "output", "errors"}``) and
answers with the exit status of each. A child is the real command from its first line on; only the
start of Python and its imports are spared, without which hundreds of runs would take all day.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from target_tableau_hyper import cli
from target_tableau_hyper.delivery import confirm
from target_tableau_hyper.tableau import jobs


def main() -> None:
    """Serve until standard input ends."""
    for module in (jobs, confirm):
        vars(module)["FIRST_WAIT_S"] = 0.02  # the server is next door
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            run(json.loads(line))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the answer


def run(job: dict[str, Any]) -> None:
    """Become the command."""
    flags = {"input": os.O_RDONLY, "output": os.O_WRONLY | os.O_CREAT | os.O_TRUNC}
    for number, (name, mode) in enumerate([*flags.items(), ("errors", flags["output"])]):
        os.dup2(os.open(str(job[name]), mode, 0o600), number)
    os.environ.update(job["env"])
    sys.argv = ["target-tableau-hyper", *job["arguments"]]
    sys.stdin = os.fdopen(0)
    try:
        cli.main()
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)


if __name__ == "__main__":
    main()
