"""What tableauserverclient and requests raise -> the project's own errors.

Texts are made from error codes and Tableau's own summary and detail. A response body never gets
into a message: behind a proxy it can be any page.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import requests
import tableauserverclient as TSC  # noqa: N812 - its own documentation's name
from tableauserverclient.server.endpoint.exceptions import (
    FailedSignInError,
    InternalServerError,
    NonXMLResponseError,
    NotSignedInError,
    RedirectError,
    ServerResponseError,
)
from tableauserverclient.server.exceptions import EndpointUnavailableError

from pipeline_core.errors import AuthError, ConfigError, PipelineError, TransientError
from pipeline_core.tls import is_untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Error codes of Tableau's REST API, as far as the client decides by them.
TOO_MANY_REQUESTS = "429000"
UPLOAD_SESSION_UNKNOWN = "404015"

#: "No such job", for one that was there: finished jobs are purged. Besides 400031, any 404.
_JOB_PURGED = "400031"

#: What can be wrong about a session that was good a moment ago: expired, or ended by another
#: sign-in with the same token.
_SESSION_ENDED = ("401000", "401002")

_STORAGE_FULL = "507"

_STATUS = {
    "400": ConfigError,
    "401": AuthError,
    "403": AuthError,
    "404": ConfigError,
    "409": TransientError,
    "413": ConfigError,
    "429": TransientError,
}

_REDIRECTED = "the server redirects; set tableau_server_url to its final address"

#: What else goes wrong on the way, the narrower class first.
_CAUSES: tuple[tuple[type[Exception], type[PipelineError], str], ...] = (
    (requests.TooManyRedirects, ConfigError, _REDIRECTED),
    (requests.Timeout, TransientError, "no answer in time; run again later"),
    (requests.RequestException, TransientError, "the server cannot be reached; run again later"),
    (
        NonXMLResponseError,
        TransientError,
        "the answer is not Tableau's (a proxy's page?); run again later",
    ),
    (
        RedirectError,
        ConfigError,
        _REDIRECTED,
    ),
    (NotSignedInError, AuthError, "the session has ended; run again"),
)


def job_purged(code: str) -> bool:
    """Whether Query Job means that the job is over and forgotten."""
    return code == _JOB_PURGED or code.startswith("404")


def session_ended(error: BaseException) -> bool:
    """Whether signing in again may help."""
    if isinstance(error, FailedSignInError):
        return str(error.code) in _SESSION_ENDED
    return isinstance(error, NotSignedInError)


@contextmanager
def named_failures(doing: str) -> Iterator[None]:
    """Raise failures inside the block as the project's own errors.

    Args:
        doing: What was tried, as the start of a sentence: "publishing data source 'GL'".
    """
    try:
        yield
    except PipelineError:
        raise
    except (TSC.server.endpoint.exceptions.TableauError, requests.RequestException) as error:
        raise _translated(error, doing) from error
    except EndpointUnavailableError as error:
        message = (
            f"{doing} failed: this Tableau Server is too old; version 2021.4 (REST API 3.14) or "
            "later is needed"
        )
        raise ConfigError(message) from error


def _translated(error: Exception, doing: str) -> PipelineError:
    if isinstance(error, (ServerResponseError, FailedSignInError)):
        kind: type[PipelineError] = _STATUS.get(str(error.code)[:3], TransientError)
        told = ": ".join(part for part in (error.summary, error.detail) if part)[:300]
        return kind(
            f"{doing} failed: Tableau answered {error.code} {told}{_advice(doing, str(error.code))}"
        )
    if isinstance(error, InternalServerError):
        if str(error.code) == _STORAGE_FULL:
            return ConfigError(f"{doing} failed: the site's storage is full; free some of it")
        return TransientError(
            f"{doing} failed: Tableau answered HTTP {error.code}; run again later"
        )
    if is_untrusted(error):
        return ConfigError(
            f"{doing} failed: the server's certificate is not trusted; set ca_bundle to the "
            "authority that issued it"
        )
    for cause, kind, why in _CAUSES:
        if isinstance(error, cause):
            return kind(f"{doing} failed: {why}")
    return TransientError(f"{doing} failed: {type(error).__name__}; run again later")


def _advice(doing: str, code: str) -> str:
    if code.startswith("401"):
        return (
            "; is another run using the same personal access token, or does the connected app lack "
            "the scope?"
        )
    if code.startswith("403"):
        if doing.startswith("creating project"):
            return "; only administrators and leaders of the parent project may create projects"
        return "; the token's user needs the Publish capability on the project"
    if code.startswith("413"):
        return "; lower chunk_size_mb, or let the proxy in between take larger requests"
    if code == TOO_MANY_REQUESTS:
        return "; run again later"
    return ""
