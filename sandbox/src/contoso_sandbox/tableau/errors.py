"""What the REST API answers when it refuses, by code.

The HTTP status is the first three digits of the code. Codes marked *unverified* are this
simulator's choice: no source tells what a real server sends there.
"""

from __future__ import annotations


class RestError(Exception):
    """One refusal, rendered as ``<error code><summary/><detail/></error>``."""

    def __init__(self, code: str, summary: str, detail: str) -> None:
        """Note what is sent."""
        super().__init__(detail)
        self.code = code
        self.summary = summary
        self.detail = detail

    @property
    def status(self) -> int:
        """HTTP status that goes with the code."""
        return int(self.code[:3])


def bad_request(detail: str) -> RestError:
    """The request is not what the endpoint expects."""
    return RestError("400000", "Bad Request", detail)


def bad_page(detail: str) -> RestError:
    """The page number is none, or lies behind the last page."""
    return RestError("400006", "Invalid page number", detail)


def bad_page_size(detail: str) -> RestError:
    """The page size is not within 1..1000."""
    return RestError("400007", "Invalid page size", detail)


def unusable_file(detail: str) -> RestError:
    """The published file cannot be used; a real server says no more than the code."""
    return RestError("400011", "Bad Request", f"There was a problem publishing the file: {detail}")


def file_part_missing() -> RestError:
    """A publish request without the file and without an upload session."""
    return RestError("400020", "Bad Request", "The file part of the request is missing.")


def not_authenticated() -> RestError:
    """No ``X-Tableau-Auth`` header."""
    return RestError(
        "401000", "Unauthorized Access", "No authentication credentials were provided."
    )


def sign_in_failed() -> RestError:
    """Unknown, revoked or mistyped credentials."""
    return RestError("401001", "Signin Error", "Error signing in to Tableau Server")


def session_over() -> RestError:
    """The token has expired, was signed out, or its session was ended by another sign-in."""
    return RestError(
        "401002", "Unauthorized Access", "Invalid authentication credentials were provided."
    )


def forbidden(detail: str) -> RestError:
    """Signed in, but not for this."""
    return RestError("403004", "Forbidden", detail)


def datasource_exists(name: str) -> RestError:
    """Publishing under a taken name without ``overwrite`` or ``append``."""
    detail = f"A data source with the name '{name}' already exists in this project."
    return RestError("403007", "Forbidden", detail)


def endpoint_unknown(path: str) -> RestError:
    """No such resource, or an API version that the server does not have."""
    return RestError("404003", "Resource Not Found", f"There is no resource at '{path}'.")


def user_unknown(user_id: str) -> RestError:
    """No such user on the site."""
    return RestError("404002", "Resource Not Found", f"User '{user_id}' could not be found.")


def datasource_unknown(datasource_id: str) -> RestError:
    """No such data source on the site."""
    detail = f"Datasource '{datasource_id}' could not be found."
    return RestError("404004", "Resource Not Found", detail)


def project_unknown(project_id: str) -> RestError:
    """No such project on the site."""
    return RestError("404005", "Resource Not Found", f"Project '{project_id}' could not be found.")


def upload_unknown(session_id: str) -> RestError:
    """No such upload session, or it has been used up."""
    detail = f"File upload session '{session_id}' could not be found."
    return RestError("404015", "Resource Not Found", detail)


def workbook_unknown(workbook_id: str) -> RestError:
    """No such workbook on the site."""
    detail = f"Workbook '{workbook_id}' could not be found."
    return RestError("404006", "Resource Not Found", detail)


def bad_webhook() -> RestError:
    """A webhook without name, event or https address."""
    return bad_request("Payload is either malformed or incomplete.")


def webhook_unknown(webhook_id: str) -> RestError:
    """No such webhook on the site."""
    return RestError("400113", "Bad Request", f"Webhook '{webhook_id}' could not be found.")


def webhook_reason_refused() -> RestError:
    """A reason why it is off, for one that is on."""
    detail = "A status change reason can only be given for a webhook that is disabled."
    return RestError("400127", "Bad Request", detail)


def connection_unknown(connection_id: str) -> RestError:
    """No such connection in the data source."""
    detail = f"Connection '{connection_id}' could not be found."
    return RestError("404026", "Resource Not Found", detail)


def job_unknown(job_id: str) -> RestError:
    """No such job; a real server says so for finished jobs that it has purged, too."""
    return RestError("404031", "Resource Not Found", f"Job '{job_id}' could not be found.")


def method_not_allowed(method: str) -> RestError:
    """The resource exists, the method does not."""
    return RestError("405000", "Method Not Allowed", f"Request type {method} is not allowed here.")


def project_exists(name: str) -> RestError:
    """A sibling project has the name."""
    detail = f"A project with the name '{name}' already exists."
    return RestError("409006", "Resource Conflict", detail)


def refresh_not_allowed(kind: str, title: str) -> RestError:
    """There is no extract to refresh; recorded in tableau/server-client-python, issue 1531."""
    detail = f"Extract operation for the {kind} '{title}' is not allowed."
    return RestError("409090", "Bad Request", detail)


def already_queued(title: str) -> RestError:
    """A refresh of the same item waits or runs."""
    detail = f"Job for '{title}' is already queued. Not queuing a duplicate."
    return RestError("409093", "Resource Conflict", detail)


def too_large(detail: str) -> RestError:
    """A block above 64 MB or a payload above the server's limit; *unverified* code."""
    return RestError("413000", "Payload Too Large", detail)


def server_failed() -> RestError:
    """A defect of the simulator; its traceback is in the log."""
    return RestError("500000", "Internal Server Error", "Unexpected error. See the server's log.")
