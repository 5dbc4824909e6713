"""The service as a whole: the server in front, three threads of work behind the inbox."""

from __future__ import annotations

import logging
import resource
import signal
import sqlite3
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipeline_core.errors import BusyError, PipelineError
from pipeline_core.ledger import Ledger
from pipeline_core.run_id import current_run_id
from pipeline_ops.extras import needs_extra
from pipeline_ops.listen import flight
from pipeline_ops.listen.alerts import Outbox, Sending
from pipeline_ops.listen.app import create_app
from pipeline_ops.listen.dispatch import Dispatch
from pipeline_ops.listen.doors import Doors
from pipeline_ops.listen.inbox import Inbox
from pipeline_ops.listen.log import LOG, fields
from pipeline_ops.listen.pipelines import ACTOR, Pipelines
from pipeline_ops.listen.serve import Server, listening_socket
from pipeline_ops.listen.store import Store
from pipeline_ops.project import find_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline_ops.listen.settings import ListenSettings

#: Nothing waits longer than this for a look, whatever the clock did meanwhile.
_LONGEST_WAIT_S = 30.0

#: After a defect of ours the loop goes on; it must not spin.
_AFTER_DEFECT_S = 10.0

_TIDY_EVERY_S = 3600.0

_DAY_S = 86_400.0

_DESCRIPTORS = 4096

#: How long a call under way is waited for when the service stops.
_PATIENCE_S = 3.0


class Loop:
    """One thread that does what is due, again and again."""

    def __init__(
        self,
        name: str,
        step: Callable[[float], float | None],
        *,
        at_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; ``step`` takes the time and returns that of the next look."""
        self.name = name
        self.trouble = ""
        self._step = step
        self._at_stop = at_stop
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    def stop(self) -> None:
        """End after what is at hand."""
        self._stopping = True
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it came in time."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            now = time.time()
            try:
                next_at = self._step(now)
                self.trouble = ""
            except PipelineError as error:  # such as a ledger on a full disk
                self.trouble = f"{self.name}: {type(error).__name__}"
                LOG.error("work is held up", extra=fields(loop=self.name, why=error))
                next_at = now + _AFTER_DEFECT_S
            except Exception as error:  # noqa: BLE001 - this thread's outermost edge: it must not end unseen
                self.trouble = f"{self.name}: {type(error).__name__}"
                LOG.exception("defect", extra=fields(loop=self.name))
                next_at = now + _AFTER_DEFECT_S
            wait_s = _LONGEST_WAIT_S if next_at is None else next_at - time.time()
            self._wake.wait(max(0.0, min(wait_s, _LONGEST_WAIT_S)))
        self._at_stop()


class Service:
    """Everything of one process."""

    def __init__(self, settings: ListenSettings) -> None:
        """Open what is needed; :meth:`run` serves.

        Raises:
            ConfigError: a file or the Meltano project is not there.
            IntegrityError: the ledger was tampered with.
        """
        self._settings = settings
        self._opened = ExitStack()
        with Ledger(settings.ledger_path, run_id=current_run_id(), actor=ACTOR) as ledger:
            ledger.verify()
        self._front = self._opened.enter_context(Store(settings.inbox_path))
        self._inbox = Inbox(self._front)
        self._loops = self._make_loops()
        self.app = create_app(
            Doors(settings.senders),
            self._inbox,
            wake=self._loops[0].wake,
            ready=self._trouble,
            body_timeout_s=settings.body_timeout_s,
            status=_status_of(settings),
        )

    def run(self, *, started: Callable[[int], None] = lambda _: None) -> None:
        """Serve until SIGTERM or SIGINT.

        Args:
            started: Called with the port once requests are answered.

        Raises:
            BusyError: the port is taken, or another service works on the inbox.
        """
        settings = self._settings
        # uvicorn raises the signal again when it is done, for handlers such as these.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        # Its warnings are about requests that are none: strangers could fill the disk with them.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        _raise_descriptor_limit()
        with (
            self._opened,
            flight.Leases(settings.state_dir).take("service") as lease,
            listening_socket(settings.bind, settings.port) as listening,
        ):
            if lease is None:
                message = f"another service works on {settings.state_dir}; only one may"
                raise BusyError(message)
            port = listening.getsockname()[1]

            def begin() -> None:
                LOG.info(
                    "listening", extra=fields(bind=settings.bind, port=port, **_told(settings))
                )
                started(port)

            server = Server(
                self.app,
                certificate=settings.certificate,
                stop_timeout_s=settings.stop_timeout_s,
                started=begin,
                stopping=self._stop_loops,
            )
            for loop in self._loops:
                loop.start()
            server.run(sockets=[listening])
            self._stop_loops()
            # The first looks after runs, which are given time to stop; the others may be in a call
            # to a server that does not answer.
            runs, *others = self._loops
            late = [] if runs.join(settings.stop_timeout_s + 1) else [runs]
            deadline = time.monotonic() + _PATIENCE_S
            late += [one for one in others if not one.join(max(0.0, deadline - time.monotonic()))]
            for loop in late:
                LOG.warning("stopped in the middle of work", extra=fields(loop=loop.name))
            if late:
                # To them this is like a kill -9, which they are made for. Their database stays open
                # under them.
                self._opened.pop_all()
        LOG.info("stopped")

    def close(self) -> None:
        """Release what was opened; for a service that does not run."""
        self._opened.close()

    def _make_loops(self) -> list[Loop]:
        settings = self._settings
        outbox = Outbox(settings.alerts)
        work = self._opened.enter_context(Store(settings.inbox_path))
        sending = Sending(
            self._opened.enter_context(Store(settings.inbox_path)), settings.alerts, settings.folder
        )
        alerts = Loop("alerts", sending.step)
        dispatch = Dispatch(work, settings)
        project = settings.project or settings.folder
        if settings.pipelines and settings.project is None:
            project = find_project(settings.folder)
        pipelines = Pipelines(work, settings, outbox, project=project)
        others = [alerts]
        tidied_at = 0.0

        def step(now: float) -> float | None:
            nonlocal tidied_at
            dispatch.step(now)
            next_at = pipelines.step(now)
            if now - tidied_at > _TIDY_EVERY_S:
                tidied_at = now
                tidy(work, settings.state_dir / "logs", now - settings.keep_days * _DAY_S)
            for loop in others:
                loop.wake()
            return next_at

        def stop() -> None:
            pipelines.stop(timeout_s=settings.stop_timeout_s)

        loops = [Loop("runs", step, at_stop=stop), alerts]
        if settings.tableau is not None:
            # Here: the target's libraries are loaded only where Tableau is looked after.
            from pipeline_ops.listen.care import Care  # noqa: PLC0415
            from pipeline_ops.listen.tableau import session_opener  # noqa: PLC0415

            care = Care(
                self._opened.enter_context(Store(settings.inbox_path)),
                settings,
                settings.tableau,
                outbox,
                session_opener(settings.tableau),
            )

            def look_after(now: float) -> float | None:
                next_at = care.step(now)
                alerts.wake()
                return next_at

            loop = Loop("tableau", look_after)
            others.append(loop)
            loops.append(loop)
        return loops

    def _stop_loops(self) -> None:
        for loop in self._loops:
            loop.stop()

    def _trouble(self) -> str:
        """What keeps the service from being ready."""
        try:
            self._inbox.check()
        except sqlite3.Error as error:
            return f"the inbox cannot be written: {error}"
        return "; ".join(loop.trouble for loop in self._loops if loop.trouble)


def _status_of(settings: ListenSettings) -> Callable[[], str] | None:
    """What makes the status page, where there is to be one."""
    if settings.status is None:
        return None
    with needs_extra("status"):
        from pipeline_ops.listen.watch import StatusView  # noqa: PLC0415 - brings a template engine
    return StatusView(settings.status, settings.ledger_path).page


def _raise_descriptor_limit() -> None:
    """As many open connections as the server takes need more than the usual 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tidy(store: Store, logs: Path, before: float) -> None:
    """Forget what was settled before an instant, and logs of that age; the ledger keeps it all."""
    Inbox(store).forget(before)
    store.run("DELETE FROM alert WHERE state != 'new' AND made_at < ?", before)
    store.run("DELETE FROM incident WHERE state = 'closed' AND event_at < ?", before)
    store.run("DELETE FROM run WHERE state != 'running' AND began_at < ?", before)
    for log in logs.glob("*.log"):
        if log.stat().st_mtime < before:
            log.unlink(missing_ok=True)


def _told(settings: ListenSettings) -> dict[str, object]:
    return {
        "senders": ",".join(sender.name for sender in settings.senders),
        "pipelines": ",".join(pipeline.name for pipeline in settings.pipelines) or "-",
        "alerts": ",".join(channel.name for channel in settings.alerts) or "-",
        "secrets": "; ".join(
            f"{use.setting} = {use.reference}{f' revision {use.revision}' if use.revision else ''}"
            for use in settings.uses
        )
        or "-",
    }
