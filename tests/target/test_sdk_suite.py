"""The SDK's standard target tests, every one with what was stored read back.

Two of its input files belong to no test of its suites and are fed at the end; two more, of user
locations, are in test_golden.
"""

from __future__ import annotations

import atexit
import importlib.resources
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_target_test_class, target_test_streams
from singer_sdk.testing.suites import SingerTestSuite
from singer_sdk.testing.target_tests import (
    TargetArrayData,
    TargetCamelcaseComplexSchema,
    TargetCamelcaseTest,
    TargetCliPrintsTest,
    TargetDuplicateRecords,
    TargetEncodedStringData,
    TargetInvalidSchemaTest,
    TargetNoPrimaryKeys,
    TargetOptionalAttributes,
    TargetPrimaryKeyUpdates,
    TargetRecordBeforeSchemaTest,
    TargetRecordMissingKeyProperty,
    TargetRecordMissingOptionalFields,
    TargetRecordMissingRequiredProperty,
    TargetSchemaNoProperties,
    TargetSchemaUpdates,
    TargetSpecialCharsInAttributes,
)
from singer_sdk.testing.templates import TargetFileTestTemplate

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.store import file_stem
from target_tableau_hyper.target import HyperTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.hyper_reader import HyperReader
    from tests.target.harness import Extracts, Rows

#: The suite takes its config when it is imported, before any fixture.
OUTPUT = Path(tempfile.mkdtemp(prefix="target-suite-"))
atexit.register(shutil.rmtree, OUTPUT, ignore_errors=True)


#: The suite makes its tests itself and hands them no fixture.
_READERS: list[HyperReader] = []


@pytest.fixture(scope="module", autouse=True)
def _read_through(reader: HyperReader) -> None:
    _READERS.append(reader)


def stored(name: str) -> list[tuple[Any, ...]]:
    """All rows of an extract, by its first column."""
    return _READERS[-1].ask(OUTPUT / f"{name}.hyper")


class ReadBack(TargetFileTestTemplate):
    """Compares what is stored with what the file says."""

    extract: str
    rows: Sequence[Sequence[Any]]

    def validate(self) -> None:
        assert stored(self.extract) == list(self.rows)


class ArrayData(ReadBack, TargetArrayData):
    extract = "test_array_data"
    rows = (
        (1, '["apple","orange","pear"]'),
        (2, '["banana","apple"]'),
        (3, '["pear"]'),
        (4, '["orange","banana","apple","pear"]'),
    )


class Camelcase(ReadBack, TargetCamelcaseTest):
    extract = "TestCamelcase"
    rows = (("1", "Gitter Windows Desktop App"), ("2", "Gitter iOS App"))


class CamelcaseComplexSchema(ReadBack, TargetCamelcaseComplexSchema):
    extract = "ForecastingTypeToCategory"
    rows = ()


class DuplicateRecords(ReadBack, TargetDuplicateRecords):
    extract = "test_duplicate_records"
    rows = ((1, 100), (2, 20))


class EncodedStringData(ReadBack, TargetEncodedStringData):
    extract = "test_strings"
    rows = (
        (1, "simple string 2837"),
        (2, "απλή συμβολοσειρά"),
        (3, "简单的字串"),
        (4, "chaîne simple"),
        (5, 'quoted "string"'),
        (6, 'various " \\ / \n escape sequences'),
        (7, "m"),
        (8, "\u0101"),
        (9, "\u0199"),
        (10, "Double quoting: \\u0000 \\u0041 \\u0001"),
        (11, "Control Characters in string: \x00 A \x01"),
    )

    def validate(self) -> None:
        super().validate()
        nested = stored("test_strings_in_objects")
        assert nested[6] == (7, '{"name":"unicode","value":"m"}')
        assert nested[10][1].endswith('"value":"\\u0000 A \\u0001"}')
        assert stored("test_strings_in_arrays")[5][1].startswith('["bbb","Control')


class InvalidSchema(TargetInvalidSchemaTest):
    def test(self) -> None:
        with pytest.raises(DataError, match="no properties"):
            self.runner.sync_all()


class NoPrimaryKeys(ReadBack, TargetNoPrimaryKeys):
    extract = "test_no_pk"
    rows = ((1, 11), (2, 22), (3, 33))


class OptionalAttributes(ReadBack, TargetOptionalAttributes):
    extract = "test_optional_attributes"
    rows = ((1, "This is optional"), (2, None), (3, "Also optional"), (4, None))


class PrimaryKeyUpdates(ReadBack, TargetPrimaryKeyUpdates):
    extract = "example_stream"
    rows = ((1, "Alice", "alice@example.com"), (2, "Bob", "bob@example.com"))


class RecordMissingKeyProperty(TargetRecordMissingKeyProperty):
    def test(self) -> None:
        super().test()
        assert not (OUTPUT / "test_record_missing_key_property.hyper").exists()


class RecordMissingFields(ReadBack, TargetRecordMissingOptionalFields):
    extract = "record_missing_fields"
    rows = ((1, "now you see me"), (2, None))


class RecordMissingRequiredProperty(TargetRecordMissingRequiredProperty):
    def test(self) -> None:
        with pytest.raises(DataError, match="required property 'id' is missing"):
            self.runner.sync_all()


class SchemaNoProperties(ReadBack, TargetSchemaNoProperties):
    extract = "test_object_schema_no_properties"
    rows = (('{"id":1,"metric":1}',), ('{"id":2,"metric":2}',))

    def validate(self) -> None:
        super().validate()
        assert stored("test_object_schema_with_properties") == [
            ('{"id":1,"metric":187}',),
            ('{"id":2,"metric":203}',),
        ]


class SchemaUpdates(ReadBack, TargetSchemaUpdates):
    extract = "test_schema_updates"
    rows = (
        (1, Decimal(101), "string1", None, None, None, None),
        (2, Decimal(102), "string2", True, None, None, None),
        (3, Decimal(103), "string3", False, '{"id":1,"value":1}', '["banana","apple"]', None),
        (4, Decimal(104), "string4", True, '{"id":2,"value":22}', '["orange","pear"]', None),
        (5, Decimal(105), "string5", False, '{"id":3,"value":33}', '["apple"]', 985),
        (6, Decimal(106), "string6", True, '{"id":4,"value":444}', '["banana","orange"]', 341),
    )


class SpecialCharsInAttributes(ReadBack, TargetSpecialCharsInAttributes):
    extract = file_stem("test:SpecialChars!in?attributes")
    rows = (("a2e98886", '{"env":"prod","agent:type":"desktop","agent:os:version":"10.13.1"}'),)


TESTS = SingerTestSuite(
    kind="target",
    tests=[
        ArrayData,
        CamelcaseComplexSchema,
        Camelcase,
        TargetCliPrintsTest,
        DuplicateRecords,
        EncodedStringData,
        InvalidSchema,
        NoPrimaryKeys,
        OptionalAttributes,
        PrimaryKeyUpdates,
        TargetRecordBeforeSchemaTest,
        RecordMissingKeyProperty,
        RecordMissingFields,
        RecordMissingRequiredProperty,
        SchemaNoProperties,
        SchemaUpdates,
        SpecialCharsInAttributes,
    ],
)

TestSdkSuite = get_target_test_class(
    HyperTarget,
    config={"output_dir": str(OUTPUT)},
    custom_suites=[TESTS],
    include_target_tests=False,
)


def fed(name: str) -> list[str]:
    """The lines of one of the SDK's input files."""
    files = importlib.resources.files(target_test_streams)
    return (files / f"{name}.singer").read_text(encoding="utf-8").splitlines()


def test_no_primary_keys_append(extracts: Extracts, rows: Rows) -> None:
    extracts.run(fed("no_primary_keys"))
    extracts.run(fed("no_primary_keys_append"))
    assert sorted(rows(extracts.path("test_no_pk"))) == [
        *((1, 11), (1, 101), (2, 22), (2, 202), (3, 33), (3, 303)),
        *((4, 404), (5, 505)),
    ]


def test_multiple_state_messages(extracts: Extracts, rows: Rows) -> None:
    """The SDK's own test expects some of the STATEs on the way; here the last covers everything."""
    said = extracts.run(fed("multiple_state_messages"))
    assert said == ['{"test_multiple_state_messages_a":5,"test_multiple_state_messages_b":6}']
    for name, metric in (("a", 100), ("b", 110)):
        found = rows(extracts.path(f"test_multiple_state_messages_{name}"))
        assert found == [(i, i * metric) for i in range(1, 7)]
