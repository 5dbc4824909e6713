"""The ASGI layer that plays the script."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from contoso_sandbox.faults.request import Answer, Asked
from contoso_sandbox.faults.rules import Script
from contoso_sandbox.faults.wire import TRANSPORT, Sent, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from contoso_sandbox.faults.rules import Action, Fault
    from contoso_sandbox.faults.wire import Pause

    Record = Callable[[Scope, Sent, str], None]

#: Delivery frames and compresses anew.
_OF_THE_FRAME = {"content-length", "content-encoding", "transfer-encoding", "vary"}


@dataclass(frozen=True, slots=True)
class Applied:
    """One stroke of a fault."""

    name: str
    asked: Asked
    fault: Fault


def _no_record(_scope: Scope, _sent: Sent, _fault: str) -> None:
    """Keep no log."""


class Faults:
    """An application whose answers go wrong on command; without a script it changes nothing.

    Attributes:
        applied: What struck, in order.
        most_at_once: Most requests that were open at the same time.
        pause: Waits between slow bytes and before late answers; a test may put its own here.
    """

    def __init__(self, app: ASGIApp, record: Record = _no_record) -> None:
        """Wrap ``app``.

        Args:
            app: The real application.
            record: Called with the scope that ``app`` saw, what is about to leave, and the names
                of the faults, before the first byte leaves.
        """
        self._app = app
        self._record = record
        self._lock = Lock()
        self._scripts: list[Script] = []
        self._open = 0
        self.applied: list[Applied] = []
        self.most_at_once = 0
        self.pause: Pause = asyncio.sleep

    def add(self, *faults: Fault) -> None:
        """Play ``faults`` from now on; where several strike one request, all act in this order."""
        with self._lock:
            self._scripts += [Script(fault) for fault in faults]

    def clear(self) -> None:
        """Behave from now on, and forget what was applied."""
        with self._lock:
            self._scripts.clear()
            self.applied.clear()
            self.most_at_once = self._open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, well or badly."""
        asked = Asked.of(scope)
        with self._counted():
            selected = [script for script in self._copy() if script.fault.selects(asked)]
            if selected:
                await _Play(self, scope, receive, send, asked).run(selected)
            else:
                await self.behave(scope, receive, send)

    async def behave(self, scope: Scope, receive: Receive, send: Send, fault: str = "") -> None:
        """Let the real answer pass, logging it."""
        size = 0

        async def logging(message: Message) -> None:
            nonlocal size
            if message["type"] == "http.response.start":
                lengths = [int(v) for k, v in message["headers"] if k == b"content-length"]
                size = sum(lengths)
                self._record(scope, Sent(message["status"], size, whole=True), fault)
            await send(message)

        await self._app(scope, receive, logging)

    def strike(self, scripts: Iterable[Script], asked: Asked) -> list[Action]:
        """Count a request against ``scripts``; return what is to happen."""
        with self._lock:
            struck = [script.fault for script in scripts if script.strikes()]
            self.applied += [Applied(fault.action.name, asked, fault) for fault in struck]
        return [fault.action for fault in struck]

    def record(self, scope: Scope, sent: Sent, actions: Sequence[Action]) -> None:
        """Log what is about to leave."""
        self._record(scope, sent, ", ".join(action.name for action in actions))

    async def real_answer(self, scope: Scope, body: bytes) -> Answer:
        """Ask the real application, without compression."""
        status, headers, pieces = 500, {}, []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
            else:
                pieces.append(message.get("body", b""))

        await self._app(scope, receive, collect)
        kept = {k: v for k, v in headers.items() if k not in _OF_THE_FRAME}
        return Answer(status, kept, b"".join(pieces))

    def _copy(self) -> list[Script]:
        with self._lock:
            return list(self._scripts)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
        try:
            yield
        finally:
            with self._lock:
                self._open -= 1


class _Play:
    """One request that the script has an eye on."""

    def __init__(
        self, faults: Faults, scope: Scope, receive: Receive, send: Send, asked: Asked
    ) -> None:
        self._faults = faults
        self._asked = asked
        self._actions: list[Action] = []
        self._answer = Answer(0)
        self._outer, self._receive, self._send = scope, receive, send
        uncompressed = [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]
        self._scope: Scope = {**scope, "headers": uncompressed}
        self._wire = Wire(
            accept_encoding=asked.headers.get("accept-encoding", ""),
            transport=scope.get("extensions", {}).get(TRANSPORT),
            receive=receive,
            send=send,
            record=self._record,
            pause=faults.pause,
        )

    async def run(self, selected: Sequence[Script]) -> None:
        # Before anything waits: whoever watches for the client's end eats the request's messages.
        body = await self._body()
        early = [script for script in selected if script.fault.page is None]
        late = [script for script in selected if script.fault.page is not None]
        self._actions = self._faults.strike(early, self._asked)
        await self._before(self._actions)
        if not late and not any(a.instead or a.change or a.deliver for a in self._actions):
            names = ", ".join(action.name for action in self._actions)
            await self._faults.behave(self._outer, self._again(body), self._send, names)
            return
        answer = self._instead(self._actions)
        if answer is None:
            answer = await self._faults.real_answer(self._scope, body)
            fitting = [script for script in late if script.fault.fits(self._asked, answer)]
            struck = self._faults.strike(fitting, self._asked)
            if any(action.before for action in struck):
                await self._before(struck)
                answer = await self._faults.real_answer(self._scope, body)
            self._actions += struck
            answer = self._instead(struck) or answer
        await self._deliver(answer)

    async def _before(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if action.before is not None:
                await action.before(self._asked, self._wire)

    def _instead(self, actions: Sequence[Action]) -> Answer | None:
        made = (action.instead(self._asked) for action in actions if action.instead is not None)
        return next(made, None)

    async def _deliver(self, answer: Answer) -> None:
        for action in self._actions:
            if action.change is not None:
                answer = action.change(answer, self._asked)
        self._answer = answer
        ways = [action.deliver for action in self._actions if action.deliver is not None]
        if ways:
            await ways[-1](answer, self._wire)
        else:
            await self._wire.whole(answer)

    def _record(self, sent: Sent) -> None:
        touched = any(action.instead or action.change for action in self._actions)
        if not sent.whole:
            sent = replace(sent, rows=0)
        elif touched:
            sent = replace(sent, rows=_rows_in(self._answer.body))
        self._faults.record(self._scope, sent, self._actions)

    def _again(self, body: bytes) -> Receive:
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await self._receive()

        return receive

    async def _body(self) -> bytes:
        body, more = b"", True
        while more:
            message = await self._receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return body


def _rows_in(body: bytes) -> int:
    try:
        document = json.loads(body)
    except ValueError:
        return 0
    value = document.get("value") if isinstance(document, dict) else None
    return len(value) if isinstance(value, list) else 0
