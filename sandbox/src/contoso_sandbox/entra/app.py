"""The HTTP face of the tenant: OpenID discovery, key set, token endpoints (v1 and v2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from contoso_sandbox.entra import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from contoso_sandbox.entra.directory import Tenant

_DEFAULT = "/.default"
_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def create_app(tenant: Tenant) -> Starlette:
    """Build the application; discovery documents name the host that they were asked at."""
    endpoint = _Endpoint(tenant)
    return Starlette(
        routes=[
            Route("/common/discovery/instance", endpoint.instance),
            Route("/common/discovery/keys", endpoint.keys),
            Route("/{tenant}/discovery/keys", endpoint.keys),
            Route("/{tenant}/discovery/v2.0/keys", endpoint.keys),
            Route("/{tenant}/.well-known/openid-configuration", endpoint.discovery_v1),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", endpoint.discovery_v2),
            Route("/{tenant}/oauth2/token", endpoint.token_v1, methods=["POST"]),
            Route("/{tenant}/oauth2/v2.0/token", endpoint.token_v2, methods=["POST"]),
        ],
        exception_handlers={errors.RefusedError: _refuse},  # type: ignore[dict-item]  # narrower
    )


class _Endpoint:
    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    async def instance(self, request: Request) -> JSONResponse:
        host = request.url.netloc
        discovery = f"https://{host}/{self._tenant.tenant_id}/v2.0/.well-known/openid-configuration"
        aliases = {"preferred_network": host, "preferred_cache": host, "aliases": [host]}
        return JSONResponse(
            {
                "tenant_discovery_endpoint": discovery,
                "api-version": "1.1",
                "metadata": [aliases],
            }
        )

    async def keys(self, _request: Request) -> JSONResponse:
        return JSONResponse(self._tenant.public_keys())

    async def discovery_v1(self, request: Request) -> JSONResponse:
        self._check_tenant(request, error="invalid_tenant")
        base = f"https://{request.url.netloc}/{self._tenant.tenant_id}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/token",
                "authorization_endpoint": f"{base}/oauth2/authorize",
                "jwks_uri": f"https://{request.url.netloc}/common/discovery/keys",
                "issuer": self._tenant.issuer,
                **_CAPABILITIES,
            }
        )

    async def discovery_v2(self, request: Request) -> JSONResponse:
        self._check_tenant(request, error="invalid_tenant")
        base = f"https://{request.url.netloc}/{self._tenant.tenant_id}"
        return JSONResponse(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "issuer": f"{base}/v2.0",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                **_CAPABILITIES,
            }
        )

    async def token_v1(self, request: Request) -> JSONResponse:
        form = await self._form(request)
        resource = _required(form, "resource")
        answer = await run_in_threadpool(self._issue, request, form, resource)
        # v1 writes its numbers as strings.
        return _uncached(
            {key: str(value) for key, value in answer.items()} | {"resource": resource}
        )

    async def token_v2(self, request: Request) -> JSONResponse:
        form = await self._form(request)
        scope = _required(form, "scope")
        if not scope.endswith(_DEFAULT) or " " in scope:
            raise errors.bad_scope(scope)
        # "https://env//.default" asks for the audience "https://env/", slash included.
        resource = scope.removesuffix(_DEFAULT)
        return _uncached(await run_in_threadpool(self._issue, request, form, resource))

    async def _form(self, request: Request) -> dict[str, str]:
        self._check_tenant(request, error="invalid_request")
        form = await request.form()
        fields = {key: value for key, value in form.items() if isinstance(value, str)}
        grant_type = _required(fields, "grant_type")
        if grant_type != "client_credentials":
            raise errors.unsupported_grant(grant_type)
        return fields

    def _issue(
        self, request: Request, form: Mapping[str, str], resource: str
    ) -> dict[str, str | int]:
        registration = self._tenant.registration(_required(form, "client_id"))
        by_certificate = form.get("client_assertion_type") == _JWT_BEARER
        if by_certificate:
            assertion = _required(form, "client_assertion")
            audiences = _audiences(request, self._tenant.tenant_id)
            self._tenant.check_assertion(registration, assertion, audiences=audiences)
        elif form.get("client_secret"):
            self._tenant.check_secret(registration, form["client_secret"])
        else:
            raise errors.missing_credential()
        token = self._tenant.issue(registration, resource, by_certificate=by_certificate)
        life = self._tenant.token_life_s
        return {
            "token_type": "Bearer",
            "expires_in": life,
            "ext_expires_in": life,
            "access_token": token,
        }

    def _check_tenant(self, request: Request, *, error: str) -> None:
        name = request.path_params["tenant"]
        if not self._tenant.is_me(name):
            raise errors.unknown_tenant(name, error=error)


_CAPABILITIES = {
    "token_endpoint_auth_methods_supported": [
        "client_secret_post",
        "private_key_jwt",
        "client_secret_basic",
    ],
    "response_modes_supported": ["query", "fragment", "form_post"],
    "subject_types_supported": ["pairwise"],
    "id_token_signing_alg_values_supported": ["RS256"],
    "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
    "scopes_supported": ["openid", "profile", "email", "offline_access"],
}


def _audiences(request: Request, tenant_id: str) -> frozenset[str]:
    """List what an assertion may be addressed to: either token endpoint, or the issuer."""
    hosts = f"https://{request.url.netloc}"
    named = {request.path_params["tenant"], tenant_id}
    paths = ("/oauth2/v2.0/token", "/oauth2/token", "/v2.0")
    return frozenset(f"{hosts}/{name}{path}" for name in named for path in paths)


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise errors.missing_parameter(name)
    return value


def _uncached(answer: Mapping[str, str | int]) -> JSONResponse:
    return JSONResponse(
        answer, headers={"cache-control": "no-store, no-cache", "pragma": "no-cache"}
    )


async def _refuse(request: Request, refusal: errors.RefusedError) -> JSONResponse:
    now, trace = datetime.now(UTC), uuid4()
    correlation = request.headers.get("client-request-id", str(uuid4()))
    timestamp = f"{now:%Y-%m-%d %H:%M:%SZ}"
    return JSONResponse(
        {
            "error": refusal.error,
            "error_description": (
                f"AADSTS{refusal.code}: {refusal.text} Trace ID: {trace} "
                f"Correlation ID: {correlation} Timestamp: {timestamp}"
            ),
            "error_codes": [refusal.code],
            "timestamp": timestamp,
            "trace_id": str(trace),
            "correlation_id": correlation,
            "error_uri": f"https://{request.url.netloc}/error?code={refusal.code}",
        },
        status_code=refusal.status,
    )
