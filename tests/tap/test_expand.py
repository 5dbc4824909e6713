"""`expand`: related rows as columns of the rows that lead to them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.tap.conftest import Output, settings_for

from pipeline_core.errors import ConfigError
from tap_d365fo.tap import TapD365FO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

    RunTap = Callable[..., Output]

HEADERS, LINES = "PurchaseOrderHeadersV2", "PurchaseOrderLinesV2"


def expanding(contoso: Contoso, *names: str, **more: object) -> dict[str, Any]:
    return settings_for(
        contoso,
        entities=[HEADERS],
        companies=["usmf"],
        entity_settings={HEADERS: {"expand": list(names)}},
        **more,
    )


def test_related_rows_come_as_a_column_with_the_values_of_their_own_stream(
    contoso: Contoso, run_tap: RunTap
) -> None:
    headers = run_tap(expanding(contoso, LINES)).records(HEADERS)
    lines = run_tap(settings_for(contoso, entities=[LINES], companies=["usmf"])).records(LINES)
    nested = [line for header in headers for line in header[LINES]]

    def by_key(rows: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
        return {(row["PurchaseOrderNumber"], row["LineNumber"]): row for row in rows}

    assert len(nested) > 50
    assert by_key(nested) == by_key(lines)
    assert all(isinstance(line["LineAmount"], Decimal | int) for line in nested)


def test_a_single_related_row_is_an_object_and_a_missing_one_null(
    contoso: Contoso, run_tap: RunTap
) -> None:
    output = run_tap(expanding(contoso, "OrderVendorV2"))
    vendors = run_tap(settings_for(contoso, entities=["VendorsV2"], companies=["usmf"]))
    known = {v["VendorAccountNumber"].lower(): v for v in vendors.records("VendorsV2")}
    for header in output.records(HEADERS):
        account = header["OrderVendorAccountNumber"].lower()
        assert header["OrderVendorV2"] == known.get(account)


def test_the_schema_names_the_related_columns(contoso: Contoso) -> None:
    schema = TapD365FO(config=expanding(contoso, LINES, "OrderVendorV2")).streams[HEADERS].schema
    line = schema["properties"][LINES]["items"]["properties"]
    assert line["LineAmount"]["type"] == ["number", "null"]
    assert schema["properties"]["OrderVendorV2"]["properties"]["VendorAccountNumber"]


def test_expanding_reads_everything_because_a_parent_does_not_tell_of_its_children(
    contoso: Contoso, run_tap: RunTap, tmp_path: Path
) -> None:
    config = expanding(contoso, LINES, snapshot_path=str(tmp_path))
    first = run_tap(config)
    second = run_tap(config, state=first.states[-1])
    assert len(second.records(HEADERS)) == len(first.records(HEADERS)) > 0


def test_a_catalog_can_deselect_what_is_expanded(contoso: Contoso, run_tap: RunTap) -> None:
    config = expanding(contoso, LINES)
    catalog = TapD365FO(config=config).catalog_dict
    for entry in catalog["streams"][0]["metadata"]:
        if entry["breadcrumb"] == ["properties", LINES]:
            entry["metadata"]["selected"] = False
    contoso.d365.requests.clear()
    output = run_tap(config, catalog=catalog)
    assert all(LINES not in record for record in output.records(HEADERS))
    assert all("$expand" not in request.query for request in contoso.d365.requests)


def test_a_misspelt_navigation_is_told_with_the_nearest(contoso: Contoso, run_tap: RunTap) -> None:
    with pytest.raises(ConfigError, match=rf"'PurchaseOrderLines'.*did you mean {LINES}"):
        run_tap(expanding(contoso, "PurchaseOrderLines"))
