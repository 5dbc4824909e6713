"""Which entities and companies a run covers."""

from __future__ import annotations

import logging

import pytest

from pipeline_core.errors import ConfigError
from tap_d365fo.companies import check_requested
from tap_d365fo.entities import resolve_entities
from tap_d365fo.settings import CONFIG_JSONSCHEMA, Settings

PUBLISHED = {
    "VendorsV2",
    "VendorsV3",
    "VendorGroups",
    "MainAccounts",
    "GeneralJournalAccountEntryBiEntities",
}


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        pytest.param(["MainAccounts"], ("MainAccounts",), id="a name"),
        pytest.param(["MainAccounts", "MainAccounts"], ("MainAccounts",), id="twice the same"),
        pytest.param(["Vend*"], ("VendorGroups", "VendorsV2", "VendorsV3"), id="a glob"),
        pytest.param(
            ["preset:finance"],
            ("GeneralJournalAccountEntryBiEntities", "MainAccounts", "VendorGroups", "VendorsV2"),
            id="the best set of each concept",
        ),
        pytest.param([], tuple(sorted(PUBLISHED)), id="everything"),
    ],
)
def test_entities_are_resolved(wanted: list[str], chosen: tuple[str, ...]) -> None:
    assert resolve_entities(wanted, PUBLISHED) == chosen


def test_what_a_preset_does_not_find_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resolve_entities(["preset:finance"], PUBLISHED)
    assert "no set for exchange rates (looked for ExchangeRates)" in caplog.text


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        pytest.param("vendorsv2", "did you mean VendorsV2", id="case"),
        pytest.param("MainAccount", "did you mean MainAccounts", id="singular"),
        pytest.param("preset:finanse", "did you mean preset:finance", id="preset"),
        pytest.param("Zzz*", "no entity set 'Zzz\\*'$", id="a glob that matches nothing"),
    ],
)
def test_unknown_entities_get_the_nearest_names(wanted: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        resolve_entities([wanted], PUBLISHED)


def test_a_company_that_does_not_exist_is_an_error() -> None:
    assert check_requested(["usmf", "2"], ("2", "demf", "usmf")) == ("usmf", "2")
    with pytest.raises(
        ConfigError, match=r"has no company usfm; it has 2, usmf; did you mean usmf\?"
    ):
        check_requested(["usfm"], ("2", "usmf"))


def config(**changes: object) -> dict[str, object]:
    """A whole configuration: what the SDK fills in, and ``changes``."""
    properties = CONFIG_JSONSCHEMA["properties"]
    defaults = {name: p["default"] for name, p in properties.items() if "default" in p}
    return {
        **defaults,
        "environment_url": "https://Contoso.operations.dynamics.com/",
        "tenant_id": "t",
        "client_id": "c",
        "client_secret": "s",
        **changes,
    }


def test_settings_take_the_form_that_the_services_want() -> None:
    settings = Settings.from_config(config(companies=["USMF", " usmf", "DEMF"]))
    assert settings.environment_url == "https://contoso.operations.dynamics.com"
    assert settings.companies == ("usmf", "demf")
    assert Settings.from_config(config()).companies == ()
    on_premises = config(environment_url="https://AX.contoso.local/namespaces/AXSF/")
    assert Settings.from_config(on_premises).environment_url == (
        "https://ax.contoso.local/namespaces/AXSF"
    )
    assert "client_secret" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"environment_url": "http://contoso"}, "environment_url must be", id="http"),
        pytest.param({"environment_url": "contoso"}, "environment_url must be", id="no scheme"),
        pytest.param({"client_secret": None}, "exactly one of", id="no credential"),
        pytest.param({"ca_bundle": "/nowhere.pem"}, "ca_bundle names no", id="no such file"),
        pytest.param({"companies": []}, "companies must name", id="no company"),
        pytest.param({"batch_config": {"x": 1}}, "batch_config needs", id="half a batch"),
        pytest.param({"start_date": "yesterday"}, "start_date must be", id="no date"),
    ],
)
def test_wrong_settings_say_what_they_should_be(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Settings.from_config(config(**changes))
