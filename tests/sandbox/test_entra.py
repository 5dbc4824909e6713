"""Entra ID: MSAL unmodified, tokens with real claims, refusals with real codes."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
import msal
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from contoso_sandbox.entra import Registration, Tenant, create_app
from contoso_sandbox.entra.certificates import new_key, pem_of, self_signed, thumbprints
from contoso_sandbox.serving import HttpsServer
from contoso_sandbox.tls import create_tls

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TENANT_ID = "5f0c1c6e-8f7e-4d55-9a5e-0d6f1f7c0001"
CLIENT_ID = "9b2d7c1a-1111-4222-8333-444455556666"
SECRET = "a+b/c=d&e~f g%20"  # every character that a form must encode
ENVIRONMENT = "https://contoso.operations.dynamics.com"
SCOPE = f"{ENVIRONMENT}/.default"
KEY = new_key()
CERTIFICATE = self_signed(KEY, "client")
JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


@dataclass
class Entra:
    """A served tenant."""

    url: str
    ca_bundle: Path
    tenant: Tenant
    clock: Clock

    def post(self, form: Mapping[str, str], path: str | None = None) -> requests.Response:
        target = self.url + (path or f"/{TENANT_ID}/oauth2/v2.0/token")
        return requests.post(target, data=form, verify=str(self.ca_bundle), timeout=30)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, verify=str(self.ca_bundle), timeout=30)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entra]:
    clock = Clock(time.time())
    tenant = Tenant(TENANT_ID, clock=clock)
    tenant.resources.add(ENVIRONMENT)
    tenant.register(Registration(CLIENT_ID, SECRET, CERTIFICATE))
    tls = create_tls(tmp_path_factory.mktemp("tls"))
    server = HttpsServer(create_app(tenant), tls).start()
    yield Entra(server.url, tls.ca_bundle, tenant, clock)
    server.stop()


@pytest.fixture
def entra(served: Entra, monkeypatch: pytest.MonkeyPatch) -> Iterator[Entra]:
    # requests lets these variables win over the CA bundle that MSAL sets on its session.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    yield served
    served.clock.now = time.time()


def pems() -> tuple[str, str]:
    pem = pem_of(KEY, CERTIFICATE).decode()
    private, _, certificate = pem.partition("-----BEGIN CERTIFICATE")
    return private, "-----BEGIN CERTIFICATE" + certificate


def credential_of(kind: str) -> object:
    private, certificate = pems()
    thumbprint = CERTIFICATE.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - x5t is SHA-1
    return {
        "secret": SECRET,
        "certificate": {"private_key": private, "public_certificate": certificate},
        "thumbprint": {"private_key": private, "thumbprint": thumbprint},
    }[kind]


# MSAL


@pytest.mark.parametrize(
    ("kind", "appidacr"),
    [
        pytest.param("secret", "1", id="client secret"),
        pytest.param("certificate", "2", id="certificate: PS256, x5t#S256"),
        pytest.param("thumbprint", "2", id="thumbprint: RS256, x5t"),
    ],
)
@pytest.mark.parametrize("authority", [TENANT_ID, "contoso.onmicrosoft.com"])
def test_msal_gets_a_token(entra: Entra, kind: str, appidacr: str, authority: str) -> None:
    application = msal.ConfidentialClientApplication(
        CLIENT_ID,
        authority=f"{entra.url}/{authority}",
        client_credential=credential_of(kind),
        verify=str(entra.ca_bundle),
        instance_discovery=False,
    )
    answer = application.acquire_token_for_client([SCOPE])
    assert "error" not in answer
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 3599
    assert answer["token_source"] == "identity_provider"
    claims = entra.tenant.claims(answer["access_token"])
    assert claims is not None
    assert claims["appidacr"] == appidacr
    assert application.acquire_token_for_client([SCOPE])["token_source"] == "cache"


def test_msal_finds_the_tenant_by_instance_discovery(entra: Entra) -> None:
    application = msal.ConfidentialClientApplication(
        CLIENT_ID,
        authority=f"{entra.url}/{TENANT_ID}",
        client_credential=SECRET,
        verify=str(entra.ca_bundle),
        instance_discovery=f"{entra.url}/common/discovery/instance",
    )
    assert "access_token" in application.acquire_token_for_client([SCOPE])


def test_msal_reports_a_wrong_secret(entra: Entra) -> None:
    application = msal.ConfidentialClientApplication(
        CLIENT_ID,
        authority=f"{entra.url}/{TENANT_ID}",
        client_credential="guessed",
        verify=str(entra.ca_bundle),
        instance_discovery=False,
    )
    answer = application.acquire_token_for_client([SCOPE])
    assert answer["error"] == "invalid_client"
    assert answer["error_codes"] == [7000215]


def test_msal_refuses_an_unknown_tenant(entra: Entra) -> None:
    with pytest.raises(ValueError, match="authority configuration"):
        msal.ConfidentialClientApplication(
            CLIENT_ID,
            authority=f"{entra.url}/{CLIENT_ID}",
            client_credential=SECRET,
            verify=str(entra.ca_bundle),
            instance_discovery=False,
        )


# Tokens


def good_form(**changes: str) -> dict[str, str]:
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "scope": SCOPE,
    }
    return {key: value for key, value in (form | changes).items() if value}


def test_a_token_carries_the_claims_of_the_real_one(entra: Entra) -> None:
    token = entra.post(good_form()).json()["access_token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == ENVIRONMENT
    assert claims["tid"] == TENANT_ID
    assert claims["appid"] == CLIENT_ID
    assert claims["iss"] == f"https://sts.windows.net/{TENANT_ID}/"
    assert claims["ver"] == "1.0"
    assert claims["oid"] == claims["sub"]
    assert claims["exp"] - claims["nbf"] == 3599
    again = jwt.decode(
        entra.post(good_form()).json()["access_token"], options={"verify_signature": False}
    )
    assert again["oid"] == claims["oid"]
    assert again["uti"] != claims["uti"]


def test_a_stranger_can_check_the_signature_by_the_published_keys(entra: Entra) -> None:
    discovery = entra.get(f"/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()
    keys = requests.get(discovery["jwks_uri"], verify=str(entra.ca_bundle), timeout=30).json()
    token = entra.post(good_form()).json()["access_token"]
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, audience=ENVIRONMENT)["appid"] == CLIENT_ID
    x5c = x509.load_der_x509_certificate(base64.b64decode(keys["keys"][0]["x5c"][0]))
    assert thumbprints(x5c)["x5t"] == keys["keys"][0]["x5t"]


def test_a_slash_too_many_stays_in_the_audience(entra: Entra) -> None:
    """F&O then refuses the token; a favourite mistake."""
    token = entra.post(good_form(scope=f"{ENVIRONMENT}//.default")).json()["access_token"]
    claims = entra.tenant.claims(token)
    assert claims is not None
    assert claims["aud"] == f"{ENVIRONMENT}/"


def test_the_v1_endpoint_takes_a_resource_and_writes_numbers_as_text(entra: Entra) -> None:
    form = good_form(scope="", resource=ENVIRONMENT)
    answer = entra.post(form, f"/{TENANT_ID}/oauth2/token").json()
    assert answer["expires_in"] == "3599"
    assert answer["resource"] == ENVIRONMENT
    assert entra.tenant.claims(answer["access_token"]) is not None


@pytest.mark.parametrize(
    ("seconds", "valid"),
    [
        pytest.param(0, True, id="at once"),
        pytest.param(3598, True, id="in the last second"),
        pytest.param(3599, False, id="expired"),
        pytest.param(-1, False, id="not valid yet"),
    ],
)
def test_a_token_lives_for_its_time(entra: Entra, seconds: int, *, valid: bool) -> None:
    entra.clock.now = 1_800_000_000
    token = entra.post(good_form()).json()["access_token"]
    entra.clock.now += seconds
    assert (entra.tenant.claims(token) is not None) is valid


def test_foreign_and_damaged_tokens_have_no_claims(entra: Entra) -> None:
    token = entra.post(good_form()).json()["access_token"]
    head, body, signature = token.split(".")
    stranger = Tenant(TENANT_ID)
    stranger.resources.add(ENVIRONMENT)
    registration = Registration(CLIENT_ID, SECRET)
    forged = jwt.encode({"appid": CLIENT_ID}, "x" * 32, algorithm="HS256")
    for bad in (
        "",
        "x",
        f"{head}.{body}.",
        f"{head}.{body[:-2]}.{signature}",
        forged,
        stranger.issue(registration, ENVIRONMENT, by_certificate=False),
    ):
        assert entra.tenant.claims(bad) is None


# Refusals


@pytest.mark.parametrize(
    ("changes", "error", "code", "status"),
    [
        pytest.param({"client_secret": "x"}, "invalid_client", 7000215, 401, id="wrong secret"),
        pytest.param({"client_secret": ""}, "invalid_client", 7000218, 401, id="no credential"),
        pytest.param({"client_id": "x"}, "unauthorized_client", 700016, 400, id="unknown app"),
        pytest.param({"client_id": ""}, "invalid_request", 900144, 400, id="no client id"),
        pytest.param({"grant_type": ""}, "invalid_request", 900144, 400, id="no grant type"),
        pytest.param(
            {"grant_type": "password"}, "unsupported_grant_type", 70003, 400, id="other grant"
        ),
        pytest.param({"scope": ""}, "invalid_request", 900144, 400, id="no scope"),
        pytest.param({"scope": ENVIRONMENT}, "invalid_scope", 1002012, 400, id="no /.default"),
        pytest.param(
            {"scope": f"{SCOPE} offline_access"}, "invalid_scope", 1002012, 400, id="two scopes"
        ),
        pytest.param(
            {"scope": "https://x/.default"}, "invalid_resource", 500011, 400, id="unknown resource"
        ),
        pytest.param(
            {"client_assertion_type": JWT_BEARER}, "invalid_request", 900144, 400, id="no assertion"
        ),
        pytest.param(
            {"client_assertion_type": JWT_BEARER, "client_assertion": "x"},
            "invalid_client", 700027, 401, id="assertion is no JWT",
        ),
    ],
)  # fmt: skip
def test_a_refusal_has_entras_shape(
    entra: Entra, changes: dict[str, str], error: str, code: int, status: int
) -> None:
    answer = entra.post(good_form(**changes))
    body = answer.json()
    assert answer.status_code == status
    assert body["error"] == error
    assert body["error_codes"] == [code]
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    assert f"Trace ID: {body['trace_id']}" in body["error_description"]
    assert body.keys() >= {"timestamp", "correlation_id", "error_uri"}
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("path", "error"),
    [
        pytest.param("/x/v2.0/.well-known/openid-configuration", "invalid_tenant", id="discovery"),
        pytest.param("/x/.well-known/openid-configuration", "invalid_tenant", id="discovery v1"),
        pytest.param("/x/oauth2/v2.0/token", "invalid_request", id="token"),
    ],
)
def test_an_unknown_tenant_is_named(entra: Entra, path: str, error: str) -> None:
    answer = entra.post(good_form(), path) if path.endswith("token") else entra.get(path)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert answer.json()["error_codes"] == [90002]
    assert "Tenant 'x' not found" in answer.json()["error_description"]


def test_the_v1_discovery_document_names_the_v1_endpoint(entra: Entra) -> None:
    document = entra.get(f"/{TENANT_ID}/.well-known/openid-configuration").json()
    assert document["token_endpoint"] == f"{entra.url}/{TENANT_ID}/oauth2/token"
    assert entra.get("/common/discovery/keys").json() == entra.tenant.public_keys()


def assertion(entra: Entra, *, key: Any = KEY, headers: dict[str, str] | None = None,  # noqa: ANN401
              **changes: object) -> dict[str, str]:  # fmt: skip
    claims = {
        "aud": f"{entra.url}/{TENANT_ID}/oauth2/v2.0/token",
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "jti": "1",
        "nbf": int(entra.clock.now),
        "exp": int(entra.clock.now) + 600,
    } | changes
    names = {"x5t#S256": thumbprints(CERTIFICATE)["x5t#S256"]} if headers is None else headers
    signed = jwt.encode(claims, key, algorithm="PS256", headers=names)
    return good_form(client_secret="", client_assertion_type=JWT_BEARER, client_assertion=signed)


def test_a_hand_made_assertion_is_taken(entra: Entra) -> None:
    assert "access_token" in entra.post(assertion(entra)).json()
    issuer = f"{entra.url}/{TENANT_ID}/v2.0"
    assert "access_token" in entra.post(assertion(entra, aud=issuer)).json()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"aud": "https://elsewhere"}, 700023, id="for another endpoint"),
        pytest.param({"sub": "another"}, 700023, id="about another app"),
        pytest.param({"exp": 1}, 700024, id="expired"),
        pytest.param({"nbf": 4_000_000_000, "exp": 4_000_000_600}, 700024, id="in the future"),
        pytest.param({"headers": {}}, 700027, id="without thumbprint"),
        pytest.param({"headers": {"x5t": "AAAA"}}, 700027, id="another thumbprint"),
        pytest.param({"key": new_key()}, 700027, id="signed with another key"),
    ],
)
def test_a_bad_assertion_is_refused(entra: Entra, changes: dict[str, Any], code: int) -> None:
    assert entra.post(assertion(entra, **changes)).json()["error_codes"] == [code]


def test_an_app_without_a_certificate_takes_no_assertion(entra: Entra) -> None:
    other = "9b2d7c1a-1111-4222-8333-000000000000"
    entra.tenant.register(Registration(other, "secret"))
    form = assertion(entra, iss=other, sub=other) | {"client_id": other}
    assert entra.post(form).json()["error_codes"] == [700027]


def test_an_app_without_a_secret_takes_none(entra: Entra) -> None:
    other = "9b2d7c1a-1111-4222-8333-000000000001"
    entra.tenant.register(Registration(other, certificate=CERTIFICATE))
    assert entra.post(good_form(client_id=other)).json()["error_codes"] == [7000215]


def test_the_client_pem_holds_key_and_certificate() -> None:
    pem = pem_of(KEY, CERTIFICATE)
    assert x509.load_pem_x509_certificate(pem) == CERTIFICATE
    loaded = serialization.load_pem_private_key(pem, password=None)
    assert loaded.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) == KEY.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
