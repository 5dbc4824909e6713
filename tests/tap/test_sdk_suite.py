"""The SDK's standard tap tests, with assertions of our own where theirs cannot fail.

The suite discovers streams while this module is imported, so its Contoso is started here.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from singer_sdk.testing import SuiteConfig, get_tap_test_class
from tests.tap.conftest import STARTED, settings_for

from contoso_sandbox.contoso import Contoso
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from singer_sdk.testing.runners import TapTestRunner

#: One of each kind: cursor and full, per company and shared, dates and decimals in keys.
ENTITIES = [
    "ExchangeRates",
    "GeneralJournalEntryBiEntities",
    "MainAccounts",
    "PurchaseOrderLinesV2",
    "VendTransBiEntities",
    "VendorsV2",
]

_directory = Path(STARTED.enter_context(tempfile.TemporaryDirectory()))
_contoso = STARTED.enter_context(Contoso.start(_directory, scale=0.02, page_size=50))


_Suite = get_tap_test_class(
    TapD365FO,
    config=settings_for(_contoso, entities=ENTITIES),
    # No limit: with one, the tap only shows a sample of each stream.
    suite_config=SuiteConfig(max_records_limit=None),
)


class TestStandardSuite(_Suite):  # type: ignore[misc,valid-type]  # made by a factory
    """All of the SDK's tests, and three that its own let pass."""

    def test_keys_are_unique(self, runner: TapTestRunner) -> None:
        """The SDK's test of this name builds generators and never looks at them."""
        for name in ENTITIES:
            key = runner.new_tap().streams[name].primary_keys
            records = runner.records[name]
            assert key
            assert records
            assert len({tuple(r[part] for part in key) for r in records}) == len(records)

    def test_no_key_part_is_null(self, runner: TapTestRunner) -> None:
        for name in ENTITIES:
            key = runner.new_tap().streams[name].primary_keys
            assert all(r[part] is not None for r in runner.records[name] for part in key)

    def test_every_record_has_every_property(self, runner: TapTestRunner) -> None:
        for name in ENTITIES:
            properties = set(runner.new_tap().streams[name].schema["properties"])
            assert all(set(r) == properties for r in runner.records[name])
