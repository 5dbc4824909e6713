"""Edm types as JSON Schema, wire values as Singer values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_core.errors import DataError
from tap_d365fo.metadata.edm import decoder, json_schema, numbers_are_text
from tap_d365fo.metadata.model import Entity, Navigation, Property


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
    instant = decoder(INSTANT, null_sentinels=False)
    assert instant is not None
    assert instant("1900-01-01T00:00:00Z") == "1900-01-01T00:00:00Z"
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


def schema_of(declared: Property) -> dict[str, object]:
    """The schema of one property, without the types that it carries along."""
    definition = json_schema(Entity("Things", (declared,)))["properties"]["Field"]
    del definition["x-sql-datatype-properties"]
    return dict(definition)


@pytest.mark.parametrize(
    ("declared", "definition"),
    [
        pytest.param(prop("Byte", "Int32"), {"type": ["integer", "null"]}, id="byte"),
        pytest.param(prop("SByte", "Int32"), {"type": ["integer", "null"]}, id="signed byte"),
        pytest.param(prop("Int16", "Int32"), {"type": ["integer", "null"]}, id="short"),
        pytest.param(prop("Int32", "Time"), {"type": ["integer", "null"]}, id="X++ time of day"),
        pytest.param(prop("Double", "Real"), {"type": ["number", "null"]}, id="double"),
        pytest.param(prop("Single", "Real"), {"type": ["number", "null"]}, id="single"),
        pytest.param(
            prop("Date", "Date"), {"type": ["string", "null"], "format": "date"}, id="date"
        ),
        pytest.param(
            prop("TimeOfDay", "Time"), {"type": ["string", "null"], "format": "time"}, id="time"
        ),
        pytest.param(prop("Duration", "String"), {"type": ["string", "null"]}, id="duration"),
        pytest.param(prop("Tomorrow", "Tomorrow"), {"type": ["string", "null"]}, id="unknown"),
        pytest.param(prop("String", "Record"), {"type": ["object", "null"]}, id="structure"),
        pytest.param(
            Property("Field", "Collection(Edm.String)", "Enum", is_key=False),
            {"type": ["array", "null"], "items": {}},
            id="collection",
        ),
        pytest.param(
            Property("Field", "Edm.String", "String", is_key=True, max_length=20),
            {"type": "string", "maxLength": 20},
            id="length",
        ),
        pytest.param(
            Property("Field", "Edm.Binary", "Container", is_key=False, label="Picture"),
            {"type": ["string", "null"], "contentEncoding": "base64", "title": "Picture"},
            id="label",
        ),
        pytest.param(
            Property("Field", "Edm.Boolean", "Boolean", is_key=False, description="Why"),
            {"type": ["boolean", "null"], "description": "Why"},
            id="description",
        ),
    ],
)
def test_a_type_has_one_schema(declared: Property, definition: dict[str, object]) -> None:
    assert schema_of(declared) == definition


def test_digits_travel_with_the_types() -> None:
    declared = Property("Field", "Edm.Decimal", "Real", is_key=False, precision=32, scale=6)
    definition = json_schema(Entity("Things", (declared,)))["properties"]["Field"]
    assert definition["x-sql-datatype-properties"] == {
        "edm": "Edm.Decimal",
        "ax": "Real",
        "precision": 32,
        "scale": 6,
    }


def test_names_that_differ_by_case_are_two_columns() -> None:
    columns = ("Name", "NAME", "name")
    entity = Entity(
        "Things", tuple(Property(n, "Edm.String", "String", is_key=False) for n in columns)
    )
    assert tuple(json_schema(entity)["properties"]) == columns


def test_what_is_expanded_becomes_a_column() -> None:
    entity = Entity(
        "Things",
        (prop("Int64", "Int64", key=True),),
        navigations=(
            Navigation("Parts", "Part", many=True),
            Navigation("Owner", "Worker", many=False),
            Navigation("Others", "Thing", many=True),
        ),
        label="Things that count",
    )
    schema = json_schema(entity, expand=("Parts", "Owner"))
    assert schema["title"] == "Things that count"
    assert list(schema["properties"]) == ["Field", "Parts", "Owner"]
    assert schema["properties"]["Parts"]["type"] == ["array", "null"]
    assert schema["properties"]["Owner"]["type"] == ["object", "null"]


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        pytest.param("2024-03-31T08:15:00.5Z", "2024-03-31T08:15:00.5Z", id="fraction"),
        pytest.param("2024-03-31T08:15:00.500Z", "2024-03-31T08:15:00.5Z", id="zeros at its end"),
        pytest.param("2024-03-31T08:15:00.000Z", "2024-03-31T08:15:00Z", id="nothing but zeros"),
        pytest.param(
            "2024-03-31T08:15:00.123456789Z", "2024-03-31T08:15:00.123456789Z", id="nanoseconds"
        ),
        pytest.param("2024-03-31T08:15:00+02:00", "2024-03-31T06:15:00Z", id="offset"),
        pytest.param("2024-12-31T23:15:00.25-05:30", "2025-01-01T04:45:00.25Z", id="both"),
        pytest.param("2024-03-31t08:15z", "2024-03-31T08:15:00Z", id="no seconds, small letters"),
        pytest.param("0999-03-31T08:15:00+00:00", "0999-03-31T08:15:00Z", id="long ago"),
        pytest.param("1900-01-01T00:00:00.000Z", None, id="no instant"),
        pytest.param("1900-01-01T01:00:00+01:00", None, id="no instant, elsewhere"),
        pytest.param("2154-12-31T23:59:59+00:00", "2154-12-31T23:59:59Z", id="never ends"),
    ],
)
def test_an_instant_has_one_form(wire: str, value: str | None) -> None:
    decode = decoder(INSTANT, null_sentinels=True)
    assert decode is not None
    assert decode(wire) == value


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60),
)
def test_an_instant_stays_the_same_instant(local: datetime, offset_min: int) -> None:
    instant = local.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    decode = decoder(INSTANT, null_sentinels=False)
    assert decode is not None
    value = decode(instant.isoformat())
    assert value.endswith("Z")
    assert datetime.fromisoformat(value) == instant.astimezone(UTC)
    assert decode(value) == value


@pytest.mark.parametrize("wire", ["yesterday", "2024-13-31T08:15:00+00:00", "", 7, "2024-03-31"])
def test_an_instant_that_is_none_is_stale_metadata(wire: object) -> None:
    decode = decoder(INSTANT, null_sentinels=True)
    assert decode is not None
    with pytest.raises(DataError, match="run discovery again"):
        decode(wire)


def test_a_date_in_another_zone_is_the_same_day() -> None:
    decode = decoder(DATE, null_sentinels=True)
    assert decode is not None
    assert decode("2024-03-31T14:00:00.000+02:00") == "2024-03-31"


AMOUNT, RECORD_ID = prop("Decimal", "Real"), prop("Int64", "Int64")


def test_numbers_that_travel_as_text_become_numbers() -> None:
    """odatapy and others write so where a client asks for ``IEEE754Compatible=true``."""
    amount = decoder(AMOUNT, null_sentinels=True, text_numbers=True)
    record_id = decoder(RECORD_ID, null_sentinels=True, text_numbers=True)
    assert amount is not None
    assert record_id is not None
    assert repr(amount("-0.050")) == repr(Decimal("-0.050"))
    assert amount(None) is None
    assert amount(Decimal("1.5")) == Decimal("1.5")
    assert record_id("5637144576000000001") == 5637144576000000001


@pytest.mark.parametrize("wire", ["x", "", "NaN", "Infinity"])
def test_a_text_that_is_no_number_is_refused(wire: str) -> None:
    decode = decoder(AMOUNT, null_sentinels=True, text_numbers=True)
    assert decode is not None
    with pytest.raises(DataError, match="Field is declared a"):
        decode(wire)


def test_numbers_cost_nothing_where_they_are_numbers() -> None:
    assert decoder(AMOUNT, null_sentinels=True) is None
    assert decoder(RECORD_ID, null_sentinels=True) is None


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        pytest.param([{"Field": 7}], False, id="a number"),
        pytest.param([{"Field": "7"}], True, id="a text"),
        pytest.param([{"Field": None}, {}, {"Field": "7"}], True, id="the first that is there"),
        pytest.param([{"Field": None}], False, id="nothing"),
        pytest.param([], False, id="no rows"),
    ],
)
def test_one_look_at_a_page_tells_how_it_writes_numbers(
    rows: list[dict[str, object]],
    text: bool,  # noqa: FBT001 - an expectation
) -> None:
    assert numbers_are_text([AMOUNT], rows) is text
    assert numbers_are_text([INSTANT], rows) is False


def test_what_no_json_number_can_carry_is_null() -> None:
    decode = decoder(prop("Double", "Real"), null_sentinels=False)
    assert decode is not None
    assert [decode(value) for value in (1.5, "NaN", "-INF", None)] == [1.5, None, None, None]
