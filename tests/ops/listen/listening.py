"""The real service as a process of its own, and what senders and tests do to it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests
import yaml

from pipeline_core.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMAND = Path(sys.executable).with_name("d365fo-tableau")

TABLEAU_SECRET = "canaryTableauUrlSecretAAAAAAAAAAAAAAAAAAA01"
TABLEAU_FORMER = "canaryTableauUrlSecretAAAAAAAAAAAAAAAAAAA00"
D365_SECRET = "canaryD365UrlSecretBBBBBBBBBBBBBBBBBBBBBBB01"
GRID_SECRET = "canaryEventGridSecretCCCCCCCCCCCCCCCCCCCCC01"
CANARIES = (TABLEAU_SECRET, TABLEAU_FORMER, D365_SECRET, GRID_SECRET)

#: Stands in for meltano where a test is about the service: notes the run and does what the file
#: ``orders`` beside it says. It is a process like any other, with the lease that it was given.
MELTANO = """#!/bin/sh
echo "$MELTANO_RUN_ID $*" >> "{folder}/begun"
orders="$(cat "{folder}/orders" 2>/dev/null)"
case "$orders" in
  hold*) while [ -e "{folder}/hold" ]; do sleep 0.05; done ;;
esac
code="$(head -1 "{folder}/codes" 2>/dev/null)"
if [ -n "$code" ]; then
  sed -i 1d "{folder}/codes"
  exit "$code"
fi
echo "$MELTANO_RUN_ID" >> "{folder}/ended"
"""


def vendor_invoice(event_id: str, company: str = "usmf", **more: object) -> dict[str, Any]:
    """A business event in the shape that F&O sends."""
    return {
        "BusinessEventId": "VendorInvoiceJournalPostedBusinessEvent",
        "ControlNumber": 5637144576,
        "EventId": event_id,
        "EventTime": "/Date(1637246655000)/",
        "LegalEntity": company,
        "MajorVersion": 0,
        "MinorVersion": 0,
        **more,
    }


def refresh_event(
    kind: str, *, site: str, datasource: str, name: str = "GL", at: str = "2026-11-24T06:00:00Z"
) -> dict[str, Any]:
    """What a webhook of Tableau sends."""
    return {
        "resource": "DATASOURCE",
        "event_type": kind,
        "resource_name": name,
        "site_luid": site,
        "resource_luid": datasource,
        "created_at": at,
    }


def until(condition: Callable[[], Any], what: str, *, within_s: float = 30.0) -> Any:  # noqa: ANN401
    """Wait for something to become true, and return it."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(what)


@dataclass
class Listener:
    """The service on one directory; may be started again and again."""

    folder: Path
    settings: dict[str, Any]
    process: subprocess.Popen[str] | None = None
    port: int = 0
    lines: list[str] = field(default_factory=list)
    https: str | bool = False
    environment: dict[str, str] = field(default_factory=dict)
    _readers: list[threading.Thread] = field(default_factory=list)

    def write(self) -> None:
        """Write the settings."""
        path = self.folder / "listen.yml"
        path.write_text(yaml.safe_dump(self.settings))
        path.chmod(0o600)
        if not (self.folder / "meltano.yml").exists():
            (self.folder / "meltano.yml").write_text("version: 1\nproject_id: test\n")

    def use_stand_in(self) -> None:
        """Put a stand-in where meltano is."""
        program = self.folder / "meltano-stand-in"
        program.write_text(MELTANO.format(folder=self.folder))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.settings["meltano"] = str(program)

    def start(self) -> Listener:
        """Start it and wait until it answers."""
        self.write()
        self.process = subprocess.Popen(
            [COMMAND, "listen", "--config", str(self.folder / "listen.yml")],
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        ready = threading.Event()
        reader = threading.Thread(target=self._read, args=(self.process, ready), daemon=True)
        reader.start()
        self._readers.append(reader)
        if not ready.wait(60) or not self.port:
            self.kill()
            raise AssertionError("\n".join(self.lines))
        return self

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.lines.append(line.rstrip("\n"))
            found = re.search(r" listening .*port=(\d+)", line)
            if found:
                self.port = int(found[1])
                ready.set()
        process.stderr.close()
        ready.set()

    def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self._wait()

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self._wait()

    def _wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(timeout=60)
        for reader in self._readers:
            reader.join(10)
        self._readers.clear()
        self.port = 0
        return code

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def url(self) -> str:
        return f"http{'s' if self.https else ''}://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def post(
        self,
        path: str,
        body: bytes | dict[str, Any] | Sequence[Any] = b"",
        **options: Any,  # noqa: ANN401
    ) -> requests.Response:
        """POST as a sender does: one connection a request."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                options.pop("method", "POST"),
                self.url + path,
                data=content,
                headers=headers,
                timeout=30,
                verify=self.https,
                **options,
            )

    def tell_d365(self, *events: dict[str, Any]) -> None:
        for event in events:
            assert self.post(f"/d365/{D365_SECRET}", event).status_code == 204

    def raw(self, content: bytes, *, close: bool = False) -> socket.socket:
        """A bare connection on which ``content`` was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(content)
        if close:
            connection.close()
        return connection

    def inbox(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the inbox a question."""
        path = self.folder / "var/listen/inbox.db"
        with closing(sqlite3.connect(path, timeout=30)) as database:
            return database.execute(sql, values).fetchall()

    def states(self) -> list[str]:
        return [row[0] for row in self.inbox("SELECT state FROM event ORDER BY seq")]

    def ledger(self, event: str | None = None) -> list[Any]:
        """Events of the ledger, whose chain must hold."""
        with Ledger(self.folder / "var/ledger.db", run_id="test", actor="test") as ledger:
            ledger.verify()
            return [one for one in ledger.events() if event in (None, one.event)]

    def begun(self) -> list[str]:
        """What the stand-in was called with: run ids and arguments."""
        path = self.folder / "begun"
        return path.read_text().splitlines() if path.exists() else []

    def ended(self) -> list[str]:
        """Runs that the stand-in brought to their end."""
        path = self.folder / "ended"
        return path.read_text().split() if path.exists() else []


def sweep(
    folder: Path, canaries: Sequence[str], *, besides: Sequence[str] = ("listen.yml",)
) -> None:
    """No file below ``folder`` holds a canary, in whatever form."""
    from pipeline_core.redaction import Redactor  # noqa: PLC0415

    redactor = Redactor()
    for canary in canaries:
        redactor.add(canary)
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in besides:
            text = path.read_bytes().decode("latin-1")
            assert redactor.redact(text) == text, f"a secret is in {path}"
