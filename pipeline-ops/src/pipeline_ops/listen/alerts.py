"""Alerts: written down with what they tell of, sent later, so that none is lost or holds work up.

An alert may come twice, if the process dies between its sending and the note of it; its id, the
same both times, is in what is sent.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

import requests

from pipeline_ops.listen.log import LOG, fields
from pipeline_ops.listen.settings import Backoff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pipeline_ops.listen.settings import Channel
    from pipeline_ops.listen.store import Store

#: A receiver that is away: tried for about a day, then it is a line in the log.
_RETRY = Backoff(attempts=30, first_wait_s=10.0, longest_wait_s=3600.0)

_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert to one channel.

    Attributes:
        kind: One of ``settings.ABOUT``.
        subject: One line: what happened to what.
        text: What is known, what was done, what to do.
        run_id: Under which the ledger tells more.
    """

    seq: int
    channel: str
    kind: str
    subject: str
    text: str
    run_id: str
    made_at: float

    @property
    def id(self) -> str:
        """The same for every sending of it."""
        return f"{self.run_id}-{self.seq}"

    def document(self) -> dict[str, Any]:
        """As machines get it. ``text`` is also what Slack and Teams webhooks show."""
        at = datetime.fromtimestamp(self.made_at, UTC).isoformat(timespec="seconds")
        return {
            "id": self.id,
            "kind": self.kind,
            "subject": self.subject,
            "text": f"{self.subject}\n{self.text}",
            "run_id": self.run_id,
            "at": at,
        }


class Outbox:
    """Takes alerts, within the transaction of what they tell of."""

    def __init__(self, channels: Sequence[Channel]) -> None:
        """Write for ``channels``."""
        self._channels = channels

    def put(
        self, store: Store, *, kind: str, subject: str, text: str, run_id: str, now: float
    ) -> None:
        """Write an alert for every channel that wants its kind."""
        LOG.warning("alert", extra=fields(kind=kind, subject=subject, run=run_id))
        for channel in self._channels:
            if kind in channel.about:
                store.run(
                    "INSERT INTO alert (channel, kind, subject, text, run_id, made_at, next_at)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    channel.name,
                    kind,
                    subject,
                    text,
                    run_id,
                    now,
                    now,
                )


class Sending:
    """Sends what the outbox has."""

    def __init__(self, store: Store, channels: Sequence[Channel], folder: Path) -> None:
        """Send to ``channels``; paths in their settings are relative to ``folder``."""
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._folder = folder

    def step(self, now: float) -> float | None:
        """Send what is due; returns the instant of the next sending."""
        due = self._store.rows(
            "SELECT seq, channel, kind, subject, text, run_id, made_at, attempts FROM alert"
            " WHERE state = 'new' AND (next_at <= ? OR next_at > ?) ORDER BY seq LIMIT 20",
            now,
            now + _RETRY.longest_wait_s + 60.0,  # the clock was set back
        )
        for *values, attempts in due:
            self._try(Alert(*values), attempts, now)
        row = self._store.row("SELECT min(next_at) FROM alert WHERE state = 'new'")
        return row[0] if row else None

    def _try(self, alert: Alert, attempts: int, now: float) -> None:
        channel = self._channels.get(alert.channel)
        trouble = "the channel is not set up any more" if channel is None else ""
        if channel is not None:
            trouble = send(alert, channel, self._folder)
        failures = attempts + 1
        if not trouble:
            self._store.run("UPDATE alert SET state = 'sent' WHERE seq = ?", alert.seq)
            LOG.info("alert sent", extra=fields(alert=alert.id, channel=alert.channel))
        elif channel is None or failures > _RETRY.attempts:
            self._store.run("UPDATE alert SET state = 'lost' WHERE seq = ?", alert.seq)
            LOG.error(
                "alert given up", extra=fields(alert=alert.id, channel=alert.channel, why=trouble)
            )
        else:
            self._store.run(
                "UPDATE alert SET attempts = ?, next_at = ? WHERE seq = ?",
                failures,
                now + _RETRY.wait_s(failures),
                alert.seq,
            )
            LOG.warning(
                "alert not sent", extra=fields(alert=alert.id, channel=alert.channel, why=trouble)
            )


def send(alert: Alert, channel: Channel, folder: Path) -> str:
    """Send an alert; returns what went wrong, in words without a secret, or nothing."""
    try:
        {"webhook": _webhook, "email": _email, "command": _command}[channel.kind](
            alert, channel.options, folder
        )
    except requests.RequestException as error:
        return f"the webhook cannot be reached ({type(error).__name__})"
    except (OSError, smtplib.SMTPException, subprocess.SubprocessError, _NotTakenError) as error:
        # Texts of smtplib and the system name hosts and codes; a URL is in none of them.
        return f"{type(error).__name__}: {error}"
    return ""


class _NotTakenError(Exception):
    """The other side answered, but not that it took the alert."""


def _webhook(alert: Alert, options: Mapping[str, Any], folder: Path) -> None:
    with requests.Session() as session:
        session.trust_env = False
        if "ca_bundle" in options:
            session.verify = str(folder / options["ca_bundle"])
        answer = session.post(
            options["url"],
            json=alert.document(),
            timeout=_TIMEOUT_S,
            allow_redirects=False,
            headers={"Idempotency-Key": alert.id},
        )
    if not 200 <= answer.status_code < 300:  # noqa: PLR2004 - every 2xx
        message = f"the webhook answered HTTP {answer.status_code}"
        raise _NotTakenError(message)


def _email(alert: Alert, options: Mapping[str, Any], folder: Path) -> None:
    message = EmailMessage()
    message["Subject"] = " ".join(f"[d365fo-tableau] {alert.subject}".split())
    message["From"], message["To"] = options["from"], ", ".join(options["to"])
    message["Date"] = datetime.fromtimestamp(alert.made_at, UTC)
    message["Message-ID"] = f"<{alert.id}@d365fo-tableau>"
    message.set_content(f"{alert.text}\n\nMore: d365fo-tableau runs show {alert.run_id}\n")
    security = options.get("security", "starttls")
    context = ssl.create_default_context(
        cafile=str(folder / options["ca_bundle"]) if "ca_bundle" in options else None
    )
    port = options.get("port", 465 if security == "tls" else 587)
    if security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            options["host"], port, timeout=_TIMEOUT_S, context=context
        )
    else:
        server = smtplib.SMTP(options["host"], port, timeout=_TIMEOUT_S)
    with server:
        if security == "starttls":
            server.starttls(context=context)
        if "username" in options:
            server.login(options["username"], options.get("password", ""))
        refused = server.send_message(message)
    if refused:
        told = f"{len(refused)} of {len(options['to'])} addresses were refused"
        raise _NotTakenError(told)


def _command(alert: Alert, options: Mapping[str, Any], folder: Path) -> None:
    """Run the command with the alert as JSON on its standard input; 0 means that it was taken."""
    done = subprocess.run(  # noqa: S603 - the operator's own command, not a shell's
        options["command"],
        input=json.dumps(alert.document()),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_TIMEOUT_S,
        cwd=folder,
        env={**os.environ, "ALERT_KIND": alert.kind, "ALERT_SUBJECT": alert.subject},
        check=False,
    )
    if done.returncode != 0:
        message = f"the command ended with {done.returncode}"
        raise _NotTakenError(message)
