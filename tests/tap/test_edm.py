"""Edm types as JSON Schema, wire values as Singer values."""

from __future__ import annotations

import pytest

from pipeline_core.errors import DataError
from tap_d365fo.metadata.edm import decoder, json_schema
from tap_d365fo.metadata.model import Entity, Property


def prop(edm: str, ax: str, *, key: bool = False) -> Property:
    return Property("Field", f"Edm.{edm}", ax, key)


DATE = prop("DateTimeOffset", "Date")
INSTANT = prop("DateTimeOffset", "UtcDateTime")
GUID = prop("Guid", "Guid")


@pytest.mark.parametrize(
    ("declared", "wire", "value"),
    [
        pytest.param(DATE, "2024-03-31T12:00:00Z", "2024-03-31", id="date at noon"),
        pytest.param(DATE, "2024-03-31T00:00:00Z", "2024-03-31", id="date at midnight"),
        pytest.param(DATE, "1900-01-01T12:00:00Z", None, id="no date"),
        pytest.param(DATE, None, None, id="null"),
        pytest.param(INSTANT, "2024-03-31T08:15:00Z", "2024-03-31T08:15:00Z", id="instant"),
        pytest.param(INSTANT, "1900-01-01T00:00:00Z", None, id="no instant"),
        pytest.param(INSTANT, "2154-12-31T23:59:59Z", "2154-12-31T23:59:59Z", id="never ends"),
        pytest.param(GUID, "00000000-0000-0000-0000-000000000000", None, id="no GUID"),
    ],
)
def test_values_lose_their_sentinels(
    declared: Property, wire: str | None, value: str | None
) -> None:
    decode = decoder(declared, null_sentinels=True)
    assert decode is not None
    assert decode(wire) == value


@pytest.mark.parametrize(
    ("declared", "wire", "value"),
    [
        pytest.param(
            prop("DateTimeOffset", "Date", key=True),
            *("1900-01-01T12:00:00Z", "1900-01-01"),
            id="date in a key",
        ),
        pytest.param(
            prop("DateTimeOffset", "UtcDateTime", key=True),
            *("1900-01-01T00:00:00Z", "1900-01-01T00:00:00Z"),
            id="instant in a key",
        ),
    ],
)
def test_a_key_keeps_its_sentinel(declared: Property, wire: str, value: str) -> None:
    decode = decoder(declared, null_sentinels=True)
    assert (decode(wire) if decode else wire) == value


def test_sentinels_stay_when_asked() -> None:
    date = decoder(DATE, null_sentinels=False)
    assert date is not None
    assert date("1900-01-01T12:00:00Z") == "1900-01-01"
    assert decoder(INSTANT, null_sentinels=False) is None
    assert decoder(GUID, null_sentinels=False) is None


@pytest.mark.parametrize("wire", ["2024-03-31T08:15:00Z", "2024-03-31", "", 7])
def test_a_date_with_a_time_is_stale_metadata(wire: object) -> None:
    decode = decoder(DATE, null_sentinels=True)
    assert decode is not None
    with pytest.raises(DataError, match="run discovery again"):
        decode(wire)


def test_the_schema_names_every_type() -> None:
    entity = Entity(
        "Things",
        (
            Property("Id", "Edm.Int64", "Int64", is_key=True),
            Property("LineNumber", "Edm.Decimal", "Real", is_key=True),
            Property("Amount", "Edm.Decimal", "Real", is_key=False),
            Property("Posted", "Edm.DateTimeOffset", "Date", is_key=False),
            Property("Changed", "Edm.DateTimeOffset", "UtcDateTime", is_key=False),
            Property("Layer", "Microsoft.Dynamics.DataEntities.Layer", "Enum", is_key=False),
            Property("Flag", "Edm.Boolean", "Boolean", is_key=False),
            Property("Uid", "Edm.Guid", "Guid", is_key=False),
            Property("Image", "Edm.Binary", "Container", is_key=False),
        ),
    )
    schema = json_schema(entity)
    assert schema["required"] == ["Id", "LineNumber"]
    types = {
        name: {k: v for k, v in definition.items() if k != "x-sql-datatype-properties"}
        for name, definition in schema["properties"].items()
    }
    assert types == {
        "Id": {"type": "integer"},
        "LineNumber": {"type": "number"},
        "Amount": {"type": ["number", "null"]},
        "Posted": {"type": ["string", "null"], "format": "date"},
        "Changed": {"type": ["string", "null"], "format": "date-time"},
        "Layer": {"type": ["string", "null"]},
        "Flag": {"type": ["boolean", "null"]},
        "Uid": {"type": ["string", "null"], "format": "uuid"},
        "Image": {"type": ["string", "null"], "contentEncoding": "base64"},
    }
    assert schema["properties"]["Posted"]["x-sql-datatype-properties"] == {
        "edm": "Edm.DateTimeOffset",
        "ax": "Date",
    }
