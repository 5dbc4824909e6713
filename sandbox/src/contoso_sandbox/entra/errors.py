"""Refusals of the token endpoint, with the AADSTS codes and texts of Microsoft Entra ID.

Source: learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations


class RefusedError(Exception):
    """A refusal that the endpoint turns into its JSON error body.

    Attributes:
        error: OAuth 2.0 error code, what a program decides by.
        code: Number behind ``AADSTS``, what a person searches for.
        text: Description without the code.
        status: HTTP status.
    """

    def __init__(self, error: str, code: int, text: str, status: int = 400) -> None:
        """Keep what the body and the status line say."""
        super().__init__(f"AADSTS{code}: {text}")
        self.error = error
        self.code = code
        self.text = text
        self.status = status


def unknown_tenant(tenant: str, *, error: str = "invalid_request") -> RefusedError:
    """Refuse a tenant that does not exist here."""
    return RefusedError(
        error,
        90002,
        f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud. Check with your subscription administrator, this may "
        "happen if there are no active subscriptions for the tenant.",
    )


def unknown_application(client_id: str, tenant: str) -> RefusedError:
    """Refuse a client id without an app registration in the tenant."""
    return RefusedError(
        "unauthorized_client",
        700016,
        f"Application with identifier '{client_id}' was not found in the directory '{tenant}'. "
        "This can happen if the application has not been installed by the administrator of the "
        "tenant or consented to by any user in the tenant. You may have sent your authentication "
        "request to the wrong tenant.",
    )


def wrong_secret(client_id: str) -> RefusedError:
    """Refuse a client secret (or the secret's id sent in its place)."""
    return RefusedError(
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client "
        f"secret value, not the client secret ID, for a secret added to app '{client_id}'.",
        401,
    )


def missing_credential() -> RefusedError:
    """Refuse a request with neither secret nor assertion."""
    return RefusedError(
        "invalid_client",
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or "
        "'client_secret'.",
        401,
    )


def bad_assertion(reason: str) -> RefusedError:
    """Refuse a certificate assertion whose key is not registered or whose signature fails."""
    return RefusedError(
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on "
        f"application. [Reason - {reason}]",
        401,
    )


def expired_assertion() -> RefusedError:
    """Refuse an assertion outside its ``nbf`` and ``exp``."""
    text = "Client assertion is not within its valid time range."
    return RefusedError("invalid_client", 700024, text, 401)


def wrong_assertion_audience(audience: object) -> RefusedError:
    """Refuse an assertion made for another endpoint, issuer or subject."""
    text = f"Client assertion audience claim does not match Realm issuer: '{audience}'."
    return RefusedError("invalid_client", 700023, text, 401)


def missing_parameter(name: str) -> RefusedError:
    """Refuse a request that lacks a form field."""
    text = f"The request body must contain the following parameter: '{name}'."
    return RefusedError("invalid_request", 900144, text)


def unsupported_grant(grant_type: str) -> RefusedError:
    """Refuse any flow but client credentials."""
    text = f"The app requested an unsupported grant type '{grant_type}'."
    return RefusedError("unsupported_grant_type", 70003, text)


def bad_scope(scope: str) -> RefusedError:
    """Refuse a scope that does not end in ``/.default``."""
    return RefusedError(
        "invalid_scope",
        1002012,
        f"The provided value for scope {scope} is not valid. Client credential flows must have a "
        "scope value with /.default suffixed to the resource identifier (application ID URI).",
    )


def unknown_resource(resource: str, tenant: str) -> RefusedError:
    """Refuse a resource that has no service principal in the tenant."""
    return RefusedError(
        "invalid_resource",
        500011,
        f"The resource principal named {resource} was not found in the tenant named {tenant}. This "
        "can happen if the application has not been installed by the administrator of the tenant "
        "or consented to by any user in the tenant.",
    )
