"""A transport with scripted answers, and a clock that only sleeping moves."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from tap_d365fo.access.client import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

START = datetime(2026, 11, 23, 7, 0, 0, tzinfo=UTC)


@dataclass
class Script(BaseAdapter):
    """Answers requests in order: an exception is raised, a tuple becomes a response."""

    answers: list[Any]
    sent: list[requests.PreparedRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def send(  # type: ignore[override]  # the session passes everything by name
        self, request: requests.PreparedRequest, **_: object
    ) -> requests.Response:
        """Give the next answer."""
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return _response(request, *answer)

    def close(self) -> None:
        """Nothing to close."""

    def session(self) -> requests.Session:
        """A session that uses this script for every address."""
        session = requests.Session()
        session.mount("https://", self)
        return session


def _response(
    request: requests.PreparedRequest,
    status: int,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    raw = HTTPResponse(body=io.BytesIO(body), headers=headers, status=status, preload_content=False)
    response = requests.Response()
    response.status_code, response.raw, response.request = status, raw, request
    response.headers.update(headers or {})
    response.url = str(request.url)
    return response


@dataclass
class FakeClock:
    """Time that passes only by sleeping, or by ``each_look`` seconds at every look."""

    elapsed_s: float = 0.0
    slept: list[float] = field(default_factory=list)
    each_look_s: float = 0.0

    def timing(self) -> Timing:
        """The seam that the client takes."""
        return Timing(
            monotonic=self._monotonic,
            sleep=self._sleep,
            now=lambda: START + timedelta(seconds=self.elapsed_s),
            chance=random.Random(7),  # noqa: S311 - repeatable
        )

    def _monotonic(self) -> float:
        self.elapsed_s += self.each_look_s
        return self.elapsed_s

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed_s += seconds


class FakeTokens:
    """Tokens with a number that grows at each renewal."""

    def __init__(self, on_renew: Callable[[], None] = lambda: None) -> None:
        """Start with token 1."""
        self.number = 1
        self._on_renew = on_renew

    def token(self, _deadline: object = None) -> str:
        """The current token."""
        return f"token-{self.number}"

    def renew(self, refused: str, _deadline: object = None) -> None:
        """Count up, as the provider fetches a new one."""
        assert refused == self.token()
        self.number += 1
        self._on_renew()
