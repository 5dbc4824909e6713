"""Fetch one JSON document from F&O: token, deadlines, retries, a body known to be whole."""

from __future__ import annotations

import logging
import random
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urlsplit

import requests

from pipeline_core.errors import AuthError, ConfigError, DataError, TransientError
from pipeline_core.tls import is_untrusted
from tap_d365fo.access.body import BrokenBodyError, OversizeError, collect, unpacked
from tap_d365fo.access.deadline import RunDeadline
from tap_d365fo.access.document import UnreadableError, parse_document
from tap_d365fo.access.effort import note_request, note_wait
from tap_d365fo.access.retry import Backoff, Verdict, judge, parse_retry_after
from tap_d365fo.access.throttle import Throttle
from tap_d365fo.access.watched import watched_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tap_d365fo.access.auth import TokenProvider
    from tap_d365fo.access.body import Body, Packed
    from tap_d365fo.access.document import ReadRows

#: Seconds to open a connection; a slow answer is the request timeout's business.
_CONNECT_TIMEOUT_S = 30

#: Longest silence on an open connection. ``requests`` counts per receive, not per answer.
_SILENCE_TIMEOUT_S = 120

#: A page of 10,000 rows of the widest entity (290 columns) is about 90 MB of JSON; far beyond it
#: lies an attack or a defect, and a gzip body of 200 kB can unpack to 200 MB.
_LARGEST_BODY_BYTES = 512 * 1024 * 1024

_TOO_MANY_REQUESTS = 429

#: ``$metadata`` and the description of all entities go to disk: some 50 to 300 MB.
_LARGEST_DOWNLOAD_BYTES = 1024 * 1024 * 1024

_JSON = "application/json;odata.metadata=minimal"

#: The shortest time that a connection is given.
_LEAST_TIMEOUT_S = 0.01

_logger = logging.getLogger("tap-d365fo.client")

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One JSON document as received.

    Attributes:
        url: Address that it came from.
        document: Parsed body; numbers with a fraction are ``Decimal``.
        size_bytes: Length of the unpacked body.
        received_at: When its last byte had come; a replay gives the time of the recording.
    """

    url: str
    document: dict[str, Any]
    size_bytes: int
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _Received:
    """An accepted answer: all of it has come, and nothing is known of what it holds."""

    url: str
    label: str
    packed: Packed
    at: datetime


class Keeper(Protocol):
    """Where whole bodies are kept as they were received."""

    def keep(self, url: str, body: Body, received_at: datetime) -> None:
        """Store one answer for good before its rows travel on.

        Raises:
            TransientError: it cannot be stored (disk full, read-only): the run must not claim it.
        """


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock and the dice, replaceable in tests."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    chance: random.Random = random.Random()  # noqa: S311, RUF009 - spreads retries, guards nothing


class DeniedError(AuthError):
    """One entity is closed to the application's user; others may be open."""


class NotFoundError(ConfigError):
    """The environment has nothing under that address (HTTP 404)."""


class D365Client:
    """Reads JSON documents below the environment's address.

    Everything from sending to parsing is inside the retry: a gzip body that was cut short raises
    nothing in ``requests``, only the parser notices it.
    """

    def __init__(
        self,
        sessions: Callable[[], requests.Session],
        tokens: TokenProvider,
        *,
        request_timeout_s: float,
        run_timeout_s: float,
        backoff: Backoff | None = None,
        timing: Timing | None = None,
        keeper: Keeper | None = None,
        max_concurrency: int = 1,
        before_unpacking: Callable[[int], None] | None = None,
    ) -> None:
        """Start the run's clock.

        Args:
            sessions: Gives the session of the calling worker.
            tokens: Shared by all workers.
            request_timeout_s: Limit for one attempt, first to last byte.
            run_timeout_s: From now on; no request begins later, and none lasts longer.
            backoff: Waits between attempts where the server names none.
            timing: Clock, sleep and randomness.
            keeper: Where each body that proved readable is kept.
            max_concurrency: Requests under way at a time, over all workers.
            before_unpacking: Called with the length of a body that has come whole, when the server
                is no longer kept busy; may wait until there is room for what it unpacks to.
        """
        self._before_unpacking = before_unpacking or _at_once
        self._keeper = keeper
        self._sessions = sessions
        self._tokens = tokens
        self._request_timeout_s = request_timeout_s
        self._backoff = backoff or Backoff()
        self._timing = timing or Timing()
        self._deadline = RunDeadline(
            run_timeout_s, monotonic=self._timing.monotonic, now=self._timing.now
        )
        self._throttle = Throttle(
            max_concurrency,
            monotonic=self._timing.monotonic,
            sleep=self._timing.sleep,
            deadline=self._deadline,
        )

    def get(self, url: str, read_rows: ReadRows | None = None) -> Answer:
        """Fetch and parse ``url``.

        Args:
            url: Address below the environment's.
            read_rows: Is asked first what it makes of the body.

        Raises:
            AuthError: the token is refused although it is new, or access is denied.
            TransientError: still failing after the last attempt, the run's time is over, or the
                wait that the server asks for ends after it (then with ``retry_at``).
            ConfigError: the address or the query is not one that the environment knows.
            DataError: every answer is whole but none is an OData document.
        """
        return self._retried(
            url,
            lambda request_id: self._receive(url, request_id),
            lambda received: self._opened(received, read_rows),
        )

    def download(
        self, url: str, into: IO[bytes], parse: Callable[[IO[bytes]], T], *, accept: str = _JSON
    ) -> T:
        """Fetch a document that is too large for memory into a file, and parse it from there.

        Args:
            url: Address below the environment's.
            into: Emptied before each attempt.
            parse: Reads ``into`` from its start. What it makes of the file is the result. An
                :class:`UnreadableError` of it counts as a failed attempt.
            accept: Media type to ask for.

        Raises:
            PipelineError: as :meth:`get`, and whatever else ``parse`` raises.
        """

        def attempt(request_id: str) -> T:
            into.seek(0)
            into.truncate()
            with self._response(url, request_id, accept) as (response, label, ends):
                self._copy(response, into, ends, label)
            into.seek(0)
            try:
                return parse(into)
            except UnreadableError as error:
                raise _AttemptFailedError(str(error), label, unreadable=True) from error

        return self._retried(url, attempt, lambda parsed: parsed)

    def _retried(self, url: str, attempt: Callable[[str], R], finish: Callable[[R], T]) -> T:
        """What ``finish`` makes of the first attempt that succeeds.

        Each attempt gets a request id of its own. It counts as a request under way until it
        returns; what ``finish`` does is no business of the server's, but may still fail it.
        """
        attempts = 0  # those that failed without naming a time for the next one
        token_renewed = False
        while True:
            request_id = str(uuid.uuid4())
            try:
                with self._throttle.slot():
                    self._deadline.check(_label(url, f"request {request_id}"))
                    note_request()
                    received = attempt(request_id)
                self._throttle.answered()
                answer = finish(received)
            except _TokenRefusedError as refused:
                if token_renewed:
                    raise AuthError(_unauthorized(url, refused.label)) from refused
                token_renewed = True
                self._tokens.renew(refused.token, self._deadline)
            except _AttemptFailedError as failed:
                # Zero is no promise: "at once" from a busy server would be a loop without end.
                if not failed.retry_after_s:
                    attempts += 1
                self._wait(url, failed, attempts)
            else:
                return answer

    def _wait(self, url: str, failed: _AttemptFailedError, attempts: int) -> None:
        """Sleep before the next attempt, or give up."""
        wait_s = failed.retry_after_s
        if not wait_s:
            if attempts >= self._backoff.attempts:
                message = f"{_label(url, failed.label)} failed {attempts} times, last with {failed}"
                raise (DataError if failed.unreadable else TransientError)(message) from failed
            wait_s = self._backoff.wait_s(attempts, chance=self._timing.chance)
        self._deadline.check_wait(wait_s, f"{_label(url, failed.label)}: {failed}")
        _logger.warning("%s: %s; again in %.1f s", _label(url, failed.label), failed, wait_s)
        if failed.throttled:
            self._throttle.refused(wait_s)
        note_wait(wait_s)
        self._timing.sleep(wait_s)

    def _receive(self, url: str, request_id: str) -> _Received:
        with self._response(url, request_id, _JSON) as (response, label, ends):
            packed = self._read(response, ends, label)
        return _Received(url, label, packed, self._timing.now())

    def _opened(self, received: _Received, read_rows: ReadRows | None) -> Answer:
        self._before_unpacking(len(received.packed))
        with _whole(received.url, received.label, "any page has"):
            body = received.packed.unpack()
        try:
            document = parse_document(body, _label(received.url, received.label), read_rows)
        except UnreadableError as error:
            raise _AttemptFailedError(str(error), received.label, unreadable=True) from error
        answer = Answer(received.url, document, len(body), received.at)
        if self._keeper is not None:
            self._keeper.keep(received.url, body, received.at)
        return answer

    @contextmanager
    def _response(
        self, url: str, request_id: str, accept: str
    ) -> Iterator[tuple[requests.Response, str, float]]:
        """An accepted answer whose body has yet to come, its name for logs, and its deadline."""
        token = self._tokens.token(self._deadline)
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": accept,
            "Accept-Encoding": "gzip",
            "OData-MaxVersion": "4.0",
            "x-ms-client-request-id": request_id,
        }
        label = f"request {request_id}"
        left_s = min(self._request_timeout_s, self._deadline.left_s)
        ends = self._timing.monotonic() + left_s
        # ``requests`` takes no zero; what is begun too late ends at its first receive.
        left_s = max(left_s, _LEAST_TIMEOUT_S)
        try:
            with watched_headers(partial(self._check_deadline, ends, label)):
                answered = self._sessions().get(
                    url,
                    headers=headers,
                    stream=True,
                    allow_redirects=False,
                    timeout=(min(_CONNECT_TIMEOUT_S, left_s), min(_SILENCE_TIMEOUT_S, left_s)),
                )
            with answered as response:
                activity = response.headers.get("ms-dyn-aid")
                label = f"ms-dyn-aid {activity}" if activity else label
                self._check_status(url, response, token, label)
                yield response, label, ends
        except requests.exceptions.SSLError as error:
            if not is_untrusted(error):
                reason = "a broken TLS connection"
                raise _AttemptFailedError(reason, label) from error
            message = (
                f"{_host(url)} shows a certificate that is not trusted; check environment_url, or "
                "set ca_bundle where the environment has a private authority"
            )
            raise ConfigError(message) from error
        except requests.RequestException as error:
            raise _AttemptFailedError(_kind(error), label) from error

    def _check_status(self, url: str, response: requests.Response, token: str, label: str) -> None:
        status = response.status_code
        verdict = judge(status)
        if verdict is Verdict.ACCEPT:
            return
        if verdict is Verdict.RENEW_TOKEN:
            raise _TokenRefusedError(token, label)
        if verdict is Verdict.RETRY:
            header = response.headers.get("Retry-After")
            wait_s = parse_retry_after(header, now=self._server_time(response))
            reason = f"HTTP {status}"
            throttled = wait_s is not None or status == _TOO_MANY_REQUESTS
            raise _AttemptFailedError(reason, label, retry_after_s=wait_s, throttled=throttled)
        if verdict is Verdict.REFUSED:
            message = (
                f"{_label(url, label)} was denied (HTTP {status}); the user mapped to the "
                "application in F&O lacks the privilege to view this entity"
            )
            raise DeniedError(message)
        if status == 404:  # noqa: PLR2004
            message = (
                f"{_label(url, label)}: the environment has nothing there (HTTP 404); check "
                "environment_url, the entity name and its filter"
            )
            raise NotFoundError(message)
        message = (
            f"{_label(url, label)} was rejected (HTTP {status}); check the entity name, its "
            "filter and the selected properties in entity_settings and the catalog"
        )
        raise ConfigError(message)

    def _server_time(self, response: requests.Response) -> datetime:
        try:
            sent = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return self._timing.now()
        return sent if sent.tzinfo else sent.replace(tzinfo=UTC)

    def _read(self, response: requests.Response, ends: float, label: str) -> Packed:
        with _whole(response.url, label, "any page has"):
            return collect(
                response.raw,
                largest_bytes=_LARGEST_BODY_BYTES,
                check_deadline=partial(self._check_deadline, ends, label),
            )

    def _copy(self, response: requests.Response, into: IO[bytes], ends: float, label: str) -> None:
        with _whole(response.url, label, "any document has"):
            for piece in unpacked(
                response.raw,
                largest_bytes=_LARGEST_DOWNLOAD_BYTES,
                check_deadline=partial(self._check_deadline, ends, label),
            ):
                into.write(piece)

    def _check_deadline(self, ends: float, label: str) -> None:
        if self._timing.monotonic() > ends:
            self._deadline.check(label)
            reason = f"no whole answer within request_timeout ({self._request_timeout_s:.0f} s)"
            raise _AttemptFailedError(reason, label)


def _at_once(_packed_bytes: int) -> None:
    """There is always room."""


@contextmanager
def _whole(url: str, label: str, limit: str) -> Iterator[None]:
    """A body that breaks is a failed attempt; one that is too long stays so."""
    try:
        yield
    except BrokenBodyError as error:
        raise _AttemptFailedError(str(error), label) from error
    except OversizeError as error:
        message = (
            f"{_label(url, label)} sent a body that unpacks to more than {limit}; is "
            "environment_url the address of F&O?"
        )
        raise DataError(message) from error


class _TokenRefusedError(Exception):
    def __init__(self, token: str, label: str) -> None:
        super().__init__("HTTP 401")
        self.token = token
        self.label = label


class _AttemptFailedError(Exception):
    def __init__(
        self,
        reason: str,
        label: str,
        *,
        retry_after_s: float | None = None,
        unreadable: bool = False,
        throttled: bool = False,
    ) -> None:
        super().__init__(reason)
        self.label = label
        self.retry_after_s = retry_after_s
        self.unreadable = unreadable
        self.throttled = throttled


def _kind(error: requests.RequestException) -> str:
    """What broke, without the text of the exception: it holds the URL and its query."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "silence on the line"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__


def _label(url: str, label: str) -> str:
    """How a request is named in logs and messages: path only, no query."""
    return f"GET {urlsplit(url).path} ({label})"


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _unauthorized(url: str, label: str) -> str:
    return (
        f"{_label(url, label)}: F&O refuses a new token (HTTP 401); register the client id under "
        "System administration > Setup > Microsoft Entra ID applications, and check that "
        "environment_url and tenant_id belong together"
    )
