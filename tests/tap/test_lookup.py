"""A row in archived pages, as the server sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.tap.test_replay import recording

from pipeline_core.errors import IntegrityError
from tap_d365fo.access.archive import body_path
from tap_d365fo.access.lookup import find_raw_row

if TYPE_CHECKING:
    from pathlib import Path

URL = "https://contoso.example/data/VendTrans?cross-company=true"
KEY = {"dataAreaId": "usmf", "RecId": "5637144576"}


def page(*rows: str) -> bytes:
    return f'{{"@odata.context":"x","value":[{",".join(rows)}]}}'.encode()


ROW = '{"dataAreaId":"USMF","RecId":5637144576,"Amount":-0.050, "Day":"2024-03-31T12:00:00Z"}'


def test_every_digit_and_zero_is_kept(tmp_path: Path) -> None:
    other = '{"dataAreaId":"usmf","RecId":1,"Amount":9}'
    pages = recording(tmp_path, (URL, page(other, ROW)), (f"{URL}&a", page(other)))
    found = find_raw_row(pages, "VendTrans", KEY)
    assert found is not None
    assert found.entry.seq == 1
    assert found.values["Amount"] == "-0.050"
    assert found.values["dataAreaId"] == '"USMF"'


def test_the_last_page_wins_and_one_of_keys_alone_does_not(tmp_path: Path) -> None:
    newer = ROW.replace("-0.050", "0.070")
    keys = '{"dataAreaId":"usmf","RecId":5637144576}'
    pages = recording(
        tmp_path, (URL, page(ROW)), (f"{URL}&b", page(newer)), (f"{URL}&c", page(keys))
    )
    with_column = find_raw_row(pages, "VendTrans", KEY, column="Amount")
    assert with_column is not None
    assert with_column.values["Amount"] == "0.070"
    without = find_raw_row(pages, "VendTrans", KEY)
    assert without is not None
    assert without.entry.seq == 3


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({"Day": "2024-03-31"}, id="a date by its day"),
        pytest.param({"Day": "2024-03-31T14:00:00+02:00"}, id="an instant in another zone"),
        pytest.param({"RecId": "5637144576.0"}, id="a number by its value"),
    ],
)
def test_keys_are_matched_by_what_they_mean(tmp_path: Path, key: dict[str, str]) -> None:
    assert find_raw_row(recording(tmp_path, (URL, page(ROW))), "VendTrans", key) is not None


@pytest.mark.parametrize(
    ("entity_set", "key"),
    [
        pytest.param("VendTrans", {"RecId": "1"}, id="another row"),
        pytest.param("VendTrans", {"RecId": "usmf"}, id="a text that is no number"),
        pytest.param("VendTrans", {"Colour": "red"}, id="a property that is not there"),
        pytest.param("VendTransBiEntities", KEY, id="another entity set"),
    ],
)
def test_what_is_not_there_is_not_found(
    tmp_path: Path, entity_set: str, key: dict[str, str]
) -> None:
    count = "https://contoso.example/data/VendTrans/$count"
    pages = recording(tmp_path, (URL, page(ROW)), (count, b"7"), (f"{URL}&d", b"[1]"))
    assert find_raw_row(pages, entity_set, key) is None


def test_a_changed_page_is_no_evidence(tmp_path: Path) -> None:
    pages = recording(tmp_path, (URL, page(ROW)))
    (entry, _), *_ = pages.pages_of("VendTrans")
    body_path(tmp_path / "run-1", entry.sha256).write_bytes(b"changed")
    with pytest.raises(IntegrityError):
        find_raw_row(pages, "VendTrans", KEY)
