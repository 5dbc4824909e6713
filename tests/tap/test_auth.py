"""Tokens when Entra ID is busy, broken or not trusted (fault T06)."""

from __future__ import annotations

import json
import random
import ssl
from typing import Any

import pytest
import requests
from tests.tap.scripted import Script
from tests.tap.test_scope import config

from pipeline_core.errors import AuthError, ConfigError, PipelineError, TransientError
from tap_d365fo.access.auth import TokenProvider
from tap_d365fo.settings import Settings

HOST = "https://login.microsoftonline.com/t"
DISCOVERY = (
    200,
    json.dumps(
        {
            "issuer": f"{HOST}/v2.0",
            "authorization_endpoint": f"{HOST}/oauth2/v2.0/authorize",
            "token_endpoint": f"{HOST}/oauth2/v2.0/token",
        }
    ).encode(),
)
TOKEN = (200, b'{"token_type":"Bearer","expires_in":3599,"access_token":"the-access-token"}')
REFUSED = (401, b'{"error":"invalid_client","error_codes":[7000215],"error_description":"x"}')
BUSY = (400, b'{"error":"temporarily_unavailable","error_description":"x"}')
UNTRUSTED = requests.exceptions.SSLError(ssl.SSLCertVerificationError("self-signed"))


def ask(*answers: Any) -> tuple[str, Script, list[float]]:  # noqa: ANN401 - see Script
    script = Script(list(answers))
    slept: list[float] = []
    provider = TokenProvider(
        Settings.from_config(config()),
        script.session(),
        sleep=slept.append,
        chance=random.Random(7),  # noqa: S311 - repeatable
    )
    return provider.token(), script, slept


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param([(503,)], id="503 at discovery"),
        pytest.param([DISCOVERY, (503,)], id="503"),
        pytest.param([DISCOVERY, (429,)], id="429"),
        pytest.param([DISCOVERY, BUSY], id="temporarily unavailable"),
        pytest.param([DISCOVERY, requests.ConnectionError("reset")], id="reset"),
        pytest.param([requests.exceptions.SSLError("EOF")], id="TLS cut short"),
    ],
)
def test_passing_trouble_is_waited_through(trouble: list[Any]) -> None:
    token, script, slept = ask(*trouble, DISCOVERY, TOKEN)
    assert token == "the-access-token"
    assert len(script.sent) == len(trouble) + 2
    assert len(slept) == 1


@pytest.mark.parametrize(
    ("answers", "error", "says"),
    [
        pytest.param([DISCOVERY, REFUSED], AuthError, "AADSTS7000215", id="refused"),
        pytest.param([(400, b"{}")], ConfigError, "check tenant_id", id="unknown tenant"),
        pytest.param([UNTRUSTED], ConfigError, "ca_bundle", id="untrusted"),
        pytest.param([(503,)] * 5, TransientError, "HTTP 503", id="never well"),
    ],
)
def test_what_waiting_cannot_mend_is_told(
    answers: list[Any], error: type[PipelineError], says: str
) -> None:
    with pytest.raises(error, match=says):
        ask(*answers)
