"""Debian's chromium without a window, spoken to over its DevTools pipe: no driver, no port."""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Browser:
    """One page of a running browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = os.fdopen(answers, "rb", buffering=0)
        self._rest = b""
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, object] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path, *, dark: bool = False, width: int = 1100) -> None:
        """Load a file and wait until it is drawn."""
        self.events.clear()
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._next()

    def value(self, expression: str) -> Any:  # noqa: ANN401 - whatever the page answers
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def requested(self) -> list[str]:
        """Addresses that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the console shows."""
        return [
            str(event["params"])
            for event in self.events
            if event["method"] in {"Log.entryAdded", "Runtime.exceptionThrown"}
        ]

    def names(self, role: str) -> list[str]:
        """Accessible names of everything with a role, as a screen reader gets them."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            node.get("name", {}).get("value", "")
            for node in nodes
            if not node["ignored"] and node.get("role", {}).get("value") == role
        ]

    def screenshot(self, file: Path) -> None:
        """The whole page."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._answers.fileno(), 65536)
            assert piece, "chromium has ended"
            self._rest += piece
        raw, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(raw)
        if "method" in message:
            self.events.append(message)
        return message

    def close(self) -> None:
        self._answers.close()
        os.close(self._commands)


@contextmanager
def running(program: str, profile: Path) -> Iterator[Browser]:
    """A browser that ends with the block; it reads commands from descriptor 3, answers on 4."""
    their_commands, our_commands = os.pipe()
    our_answers, their_answers = os.pipe()
    # The shell puts the two ends where chromium wants them, whatever numbers they have here.
    script = (
        f'exec 3<&{their_commands} 4>&{their_answers}; exec "$0" --headless=new --no-sandbox '
        "--disable-gpu --no-first-run --disable-dev-shm-usage --disable-background-networking "
        '--remote-debugging-pipe --user-data-dir="$1"'
    )
    with subprocess.Popen(
        ["/bin/bash", "-c", script, program, str(profile)],
        pass_fds=(their_commands, their_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(their_commands)
        os.close(their_answers)
        browser = Browser(our_commands, our_answers)
        try:
            yield browser
            browser.call("Page.close")
        finally:
            browser.close()
            process.terminate()


#: Lowest contrast between a text and what is behind it (WCAG 2, relative luminance), and the text.
LOWEST_CONTRAST = """
(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  let lowest = [99, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; n = walker.nextNode();) {
    const e = n.parentElement;
    if (!n.textContent.trim() || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const svg = e.namespaceURI.endsWith('svg');
    if (svg && e.tagName !== 'text') continue;
    const [a, b] = [light(parse(svg ? style.fill : style.color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < lowest[0]) lowest = [ratio, n.textContent.trim()];
  }
  return lowest;
})()
"""
