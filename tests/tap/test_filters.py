"""Misspelt names in a filter are told before the first request; what cannot be judged is let by."""

from __future__ import annotations

import pytest

from tap_d365fo.metadata.filters import unknown_names

KNOWN = ["VendorAccountNumber", "OnHoldStatus", "CreditLimit", "CreatedAt", "RowGuid", "IsActive"]
ENUM = "Microsoft.Dynamics.DataEntities.CustVendorBlocked'All'"


@pytest.mark.parametrize(
    ("condition", "unknown"),
    [
        pytest.param("VendorAcountNumber eq 'V-1'", ["VendorAcountNumber"], id="misspelt"),
        pytest.param("1 lt Amount and (Foo ne null)", ["Amount", "Foo"], id="two, in order"),
        pytest.param("not Foo", ["Foo"], id="a boolean"),
        pytest.param("contains(Nam,'x') or startswith(Nam,'y')", ["Nam"], id="in functions"),
        pytest.param("VendorAccountNumber eq 'Foo eq Bar''s'", [], id="text is no name"),
        pytest.param(f"OnHoldStatus eq {ENUM}", [], id="an enum"),
        pytest.param("CreatedAt ge 2026-01-31T08:15:00Z", [], id="an instant"),
        pytest.param("CreatedAt ge 2026-01-31T08:15:00+02:00", [], id="an offset"),
        pytest.param("CreditLimit gt 1.5e10 and CreditLimit lt -2E-3", [], id="numbers"),
        pytest.param("RowGuid eq abcdef01-2345-6789-abcd-ef0123456789", [], id="a GUID"),
        pytest.param("IsActive eq true and CreditLimit add 1 le 9", [], id="operators"),
        pytest.param("vendoraccountnumber eq 'V-1'", [], id="case is the server's affair"),
        pytest.param("Lines/any(x:x/Qty gt 1)", [], id="a lambda"),
        pytest.param("Group/Name eq 'x'", [], id="a path"),
        pytest.param("year(CreatedAt) eq 2026", [], id="a function"),
        pytest.param("CreditLimit eq @limit", [], id="a parameter"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_names_that_no_property_has(condition: str, unknown: list[str]) -> None:
    assert unknown_names(condition, KNOWN) == unknown
