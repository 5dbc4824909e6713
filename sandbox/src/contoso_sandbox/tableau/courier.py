"""Delivers what webhooks are told, and what goes wrong with that.

An event is tried once and then three times more, ever later, until the receiver answers 2xx; then
the webhook is switched off (webhooks-docs, issue 23; server-client-python, issue 1135). A message
says what happened to what and when; it names no job and bears no signature. Tableau may send one
twice: then both are the same to the byte.
"""

from __future__ import annotations

import http.client
import json
import queue
import ssl
import threading
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.jobs import SUCCESS, JobType
from contoso_sandbox.tableau.times import to_rest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contoso_sandbox.tableau.jobs import Job
    from contoso_sandbox.tableau.webhooks import Webhook, Webhooks

#: Pauses before the second, third and fourth attempt; a real server's are minutes.
RETRY_SECONDS = (0.2, 0.4, 0.8)

_TIMEOUT_S = 10.0
_WORKERS = 4
_FAILED_TOO_OFTEN = "Webhook disabled after four failed re-tries"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt that was made.

    Attributes:
        status: The receiver's; 0 where there was no answer.
        body: What was sent.
    """

    webhook: str
    event: str
    status: int
    body: bytes


@dataclass(slots=True)
class DeliveryScript:
    """What goes wrong with deliveries; tests write it."""

    copies: int = 1
    losses: int = 0
    resource: str = "DATASOURCE"
    retry_seconds: Sequence[float] = RETRY_SECONDS
    made: list[Delivery] = field(default_factory=list)


class Courier:
    """Sends messages, in threads of its own."""

    def __init__(self, webhooks: Webhooks, site_id: str) -> None:
        """Send to ``webhooks``; begin with nothing."""
        self.script = DeliveryScript()
        self._webhooks = webhooks
        self._site_id = site_id
        self._trust = ssl.create_default_context()
        self._queue: queue.Queue[tuple[Webhook, bytes] | None] = queue.Queue()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="tableau-webhooks", daemon=True)
            for _ in range(_WORKERS)
        ]
        for thread in self._threads:
            thread.start()

    def trust(self, ca_bundle: Path) -> None:
        """Trust this authority, too; real Tableau trusts public ones alone."""
        self._trust.load_verify_locations(cafile=str(ca_bundle))

    def job_ended(self, job: Job) -> None:
        """Tell of a refresh that is over."""
        if job.type is not JobType.REFRESH or job.completed_at is None:
            return
        subject = "Datasource" if job.subject == "datasource" else "Workbook"
        outcome = "Succeeded" if job.finish_code == SUCCESS else "Failed"
        event = f"{subject}Refresh{outcome}"
        resource = self.script.resource if subject == "Datasource" else "WORKBOOK"
        body = json.dumps(
            {
                "resource": resource,
                "event_type": event,
                "resource_name": job.datasource_name,
                "site_luid": self._site_id,
                "resource_luid": job.datasource_id,
                "created_at": to_rest(job.completed_at),
            },
            separators=(",", ":"),
        ).encode()
        for webhook in self._webhooks.all():
            if webhook.event != event or not webhook.enabled:
                continue
            if self.script.losses > 0:
                self.script.losses -= 1
                continue
            for _ in range(self.script.copies):
                self._queue.put((webhook, body))

    def test(self, webhook: Webhook) -> tuple[int, str]:
        """Send an empty message; returns status and body of the answer, or 0 and why none came."""
        return self._post(webhook.url, b"")

    def close(self) -> None:
        """Stop; what is under way is given up."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=_TIMEOUT_S)

    def _run(self) -> None:
        while (taken := self._queue.get()) is not None and not self._stopping.is_set():
            self._deliver(*taken)

    def _deliver(self, webhook: Webhook, body: bytes) -> None:
        for pause in (0.0, *self.script.retry_seconds):
            if self._stopping.wait(pause):
                return
            status, _ = self._post(webhook.url, body)
            self.script.made.append(Delivery(webhook.id, webhook.event, status, body))
            if 200 <= status < 300:  # noqa: PLR2004 - every 2xx
                return
        self._webhooks.disable(webhook.id, _FAILED_TOO_OFTEN)

    def _post(self, url: str, body: bytes) -> tuple[int, str]:
        parts = urllib.parse.urlsplit(url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 443, timeout=_TIMEOUT_S, context=self._trust
        )
        try:
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            connection.request("POST", path or "/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read(10_000).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, type(error).__name__
        finally:
            connection.close()
