"""A private PostgreSQL: Debian's server on a folder of its own, without the network."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Debian keeps the server's programs out of PATH.
_DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server, reached by its Unix socket.

    Attributes:
        socket: Folder of the socket; nobody but its owner and root may enter.
        user: Superuser of the server.
    """

    socket: Path
    user: str = "postgres"

    @property
    def sqlalchemy_url(self) -> str:
        """Address of the database for the target."""
        return f"postgresql+psycopg://{self.user}@/postgres?host={quote(str(self.socket))}"


@contextmanager
def private_postgres() -> Iterator[Postgres]:
    """Run a server until the context ends."""
    programs = _programs()
    owner = _owner()
    # Not below pytest's folder: that is closed to all but root, and PostgreSQL refuses to be root.
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    try:
        if owner is not None:
            os.chown(home, owner.pw_uid, owner.pw_gid)
        data = home / "data"
        _run(
            owner,
            *(programs / "initdb", "--pgdata", data, "--username=postgres", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
        control = (programs / "pg_ctl", "--pgdata", data, "--wait", "--silent")
        _run(owner, *control, "--log", home / "log", "--options", options, "start")
        try:
            yield Postgres(home)
        finally:
            _run(owner, *control, "--mode=fast", "stop")
    finally:
        shutil.rmtree(home)


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as: the package's own user where we are root, else ourselves."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _programs() -> Path:
    """Folder of initdb and pg_ctl, installed if we may.

    Raises:
        RuntimeError: PostgreSQL is missing and cannot be installed.
    """
    if (found := _installed()) is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # Runlevel 1: the package shall not start a server of its own.
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for arguments in (("update",), ("install", "--yes", "postgresql")):
            subprocess.run(
                ["/usr/bin/apt-get", "--quiet", *arguments],
                env=environment,
                check=True,
                capture_output=True,
                timeout=300,
            )
        found = _installed()
    if found is None:
        message = "these tests need PostgreSQL's server: install the package postgresql"
        raise RuntimeError(message)
    return found


def _installed() -> Path | None:
    newest = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    candidates = [*newest, *([Path(on_path)] if on_path else [])]
    return candidates[0].parent if candidates else None


def _run(owner: pwd.struct_passwd | None, *command: str | Path) -> None:
    done = subprocess.run(
        command,
        user=None if owner is None else owner.pw_uid,
        group=None if owner is None else owner.pw_gid,
        extra_groups=None if owner is None else [],
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        # The server inherits these: a pipe would stay open as long as it lives.
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}"
