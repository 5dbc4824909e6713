"""What ``listen.yml`` may hold, as a JSON schema. Times are seconds."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_SECONDS = {"type": "number", "minimum": 0}
_TEXTS = {"type": "array", "items": _TEXT}

#: The current secret, and the one before it while both are in use.
_URL_SECRETS = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 2}


def _object(required: tuple[str, ...] = (), **properties: object) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_BACKOFF = _object(
    attempts={"type": "integer", "minimum": 0, "maximum": 50},
    first_wait=_SECONDS,
    longest_wait=_SECONDS,
)

_PIPELINE = _object(
    ("name", "events"),
    name={"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}$"},
    run={"type": ["string", "array"], "minLength": 1, "minItems": 1, "items": _TEXT},
    environment=_TEXT,
    events={
        "type": "array",
        "minItems": 1,
        "items": _object(("event",), event=_TEXT, companies=_TEXTS),
    },
    coalesce=_object(quiet=_SECONDS, longest=_SECONDS),
    retry=_BACKOFF,
    timeout={"type": "number", "exclusiveMinimum": 0},
)

_ABOUT = {
    "type": "array",
    "items": {
        "enum": [
            "refresh_failed",
            "refresh_gave_up",
            "refresh_recovered",
            "run_failed",
            "run_recovered",
        ]
    },
}

_ALERT = {
    "type": "object",
    "required": ["kind"],
    "properties": {"kind": {"enum": ["webhook", "email", "command"]}},
    "allOf": [
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": "webhook"}}},
            "then": _object(("kind", "url"), kind={}, about=_ABOUT, url=_TEXT, ca_bundle=_TEXT),
        },
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": "email"}}},
            "then": _object(
                ("kind", "host", "from", "to"),
                kind={},
                about=_ABOUT,
                host=_TEXT,
                port={"type": "integer", "minimum": 1, "maximum": 65535},
                security={"enum": ["starttls", "tls", "none"]},
                username=_TEXT,
                password=_TEXT,
                ca_bundle=_TEXT,
                **{"from": _TEXT, "to": {"type": "array", "items": _TEXT, "minItems": 1}},
            ),
        },
        {
            "if": {"required": ["kind"], "properties": {"kind": {"const": "command"}}},
            "then": _object(
                ("kind", "command"),
                kind={},
                about=_ABOUT,
                command={"type": "array", "items": _TEXT, "minItems": 1},
            ),
        },
    ],
}

SCHEMA: dict[str, Any] = _object(
    bind=_TEXT,
    port={"type": "integer", "minimum": 0, "maximum": 65535},
    public_url={"type": "string", "pattern": r"^https://[^/?#@]+(/[^?#]*)?$"},
    tls=_object(("certificate", "key"), certificate=_TEXT, key=_TEXT),
    state_dir=_TEXT,
    ledger_path=_TEXT,
    keep_days={"type": "integer", "minimum": 2},
    stop_timeout=_SECONDS,
    body_timeout={"type": "number", "exclusiveMinimum": 0},
    project=_TEXT,
    meltano=_TEXT,
    tableau=_object(
        ("server_url",),
        url_secrets=_URL_SECRETS,
        server_url={"type": "string", "pattern": "^https?://"},
        site={"type": "string"},
        token_name=_TEXT,
        token_value=_TEXT,
        client_id=_TEXT,
        secret_id=_TEXT,
        secret_value=_TEXT,
        username=_TEXT,
        ca_bundle=_TEXT,
        datasources=_TEXTS,
        refresh=_BACKOFF,
        job_timeout={"type": "number", "exclusiveMinimum": 0},
        poll={"type": "number", "exclusiveMinimum": 0},
    ),
    d365=_object(("url_secrets",), url_secrets=_URL_SECRETS),
    event_grid=_object(("url_secrets",), url_secrets=_URL_SECRETS),
    status=_object(
        ("url_secrets",),
        url_secrets=_URL_SECRETS,
        output_dir=_TEXT,
        late_after={"type": "number", "exclusiveMinimum": 0},
    ),
    pipelines={"type": "array", "items": _PIPELINE},
    alerts={"type": "array", "items": _ALERT},
)
