"""Secrets are masked in every form in which they travel."""

from __future__ import annotations

import base64
import json
import logging
import urllib.parse

import pytest

from pipeline_core.redaction import MASK, RedactingFilter, Redactor

SECRET = 'p@ss "word"/Ünï+42'
BOTH_QUOTES = SECRET + "'\\word'"


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(SECRET, id="as it is"),
        pytest.param(urllib.parse.quote(SECRET, safe=""), id="URL-quoted"),
        pytest.param(urllib.parse.quote_plus(SECRET), id="form-encoded"),
        pytest.param(base64.b64encode(SECRET.encode()).decode(), id="base64"),
        pytest.param(json.dumps({"s": SECRET}), id="in JSON"),
        pytest.param(json.dumps({"s": SECRET}, ensure_ascii=False), id="in JSON with Unicode"),
    ],
)
def test_every_form_is_masked(form: str) -> None:
    redactor = Redactor()
    redactor.add(SECRET)
    masked = redactor.redact(f"before {form} after")
    assert MASK in masked
    assert "word" not in masked


def test_python_notation_is_masked() -> None:
    redactor = Redactor()
    redactor.add(BOTH_QUOTES)
    assert "word" not in redactor.redact(str(KeyError(BOTH_QUOTES)))


def test_a_secret_that_begins_another_leaves_no_rest() -> None:
    redactor = Redactor()
    redactor.add("abcdef")
    redactor.add("abcdef-and-more")
    assert redactor.redact("x abcdef-and-more y") == f"x {MASK} y"


def test_short_values_are_not_taken_for_secrets() -> None:
    redactor = Redactor()
    redactor.add("on")
    assert redactor.redact("on and on") == "on and on"


def test_log_records_and_tracebacks_are_masked(caplog: pytest.LogCaptureFixture) -> None:
    redactor = Redactor()
    redactor.add("hunter2-hunter2")
    caplog.handler.addFilter(RedactingFilter(redactor))
    logger = logging.getLogger("redaction-test")
    try:
        raise ValueError("hunter2-hunter2")  # noqa: TRY301, EM101
    except ValueError:
        logger.exception("failed with %s", "hunter2-hunter2")
    assert "hunter2" not in caplog.text
    assert "ValueError" in caplog.text
