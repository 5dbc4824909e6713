"""One file of several sealed extracts: made from copies, keyed, and proved table by table."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.target.messages import record, schema

from pipeline_core.errors import DataError, IntegrityError
from target_tableau_hyper.extract.combine import Part, Reference, combine
from target_tableau_hyper.extract.manifest import Manifest, sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.target.harness import Extracts

    from target_tableau_hyper.extract.engine import Engine

STREAMS = ("GL", "head[er]s", "vend.ors")

LINES = schema(
    "GL",
    {
        "line": {"type": "integer"},
        "header": {"type": ["null", "integer"]},
        "amount": {"type": "number"},
    },
    keys=["line"],
)
HEADERS = schema(
    "head[er]s",
    {
        "id": {"type": "integer"},
        "area": {"type": "string"},
        "Account": {"type": "string"},
        "amount": {"type": ["null", "number"]},
        "posted": {"type": ["null", "string"], "format": "date-time"},
    },
)
VENDORS = schema(
    "vend.ors",
    {"area": {"type": "string"}, "number": {"type": "string"}, 'the "name"': {"type": "string"}},
    keys=["area", "number"],
)
REFERENCES = (
    Reference("head[er]s", "vend.ors", (("Account", "number"), ("area", "area"))),
    Reference("GL", "head[er]s", (("header", "id"),)),
)
MESSAGES = [
    LINES,
    HEADERS,
    VENDORS,
    *(
        record("GL", {"line": i, "header": i % 7, "amount": Decimal(i) - Decimal("0.05")})
        for i in range(100)
    ),
    *(
        record(
            "head[er]s",
            {
                "id": i,
                "area": "dat",
                "Account": f"V{i % 3}",
                "amount": None if i == 3 else Decimal("12345678901234567890.123456"),
                "posted": "2026-03-31T23:59:59.5Z",
            },
        )
        for i in range(7)
    ),
    *(
        record("vend.ors", {"area": area, "number": f"V{i}", 'the "name"': f"N{i}"})
        for i in range(3)
        for area in ("dat", "usmf")
    ),
]


def parts(extracts: Extracts) -> list[Part]:
    found = {}
    for path in extracts.directory.glob("*.manifest.json"):
        manifest = Manifest.read(path)
        found[manifest.stream] = Part(manifest.stream, path.with_name(manifest.file), manifest)
    return [found[stream] for stream in STREAMS]


@pytest.fixture
def sealed(extracts: Extracts) -> list[Part]:
    extracts.run(MESSAGES)
    return parts(extracts)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work" / "combined.hyper"


def test_every_table_holds_the_rows_of_its_extract(
    sealed: list[Part],
    engines: dict[int, Engine],
    target: Path,
    query: Callable[[Path, str], list[tuple[Any, ...]]],
) -> None:
    combine(engines[3], sealed, REFERENCES, path=target)
    for part in sealed:
        there = query(target, f'SELECT * FROM "Extract"."{part.table}"')  # noqa: S608
        here = query(part.extract, 'SELECT * FROM "Extract"."Extract"')
        assert sorted(there, key=str) == sorted(here, key=str)
        assert len(here) == part.manifest.rows > 0
    assert [path.name for path in target.parent.iterdir()] == ["combined.hyper"]


def test_relationships_become_assumed_keys(
    sealed: list[Part],
    engines: dict[int, Engine],
    target: Path,
    query: Callable[[Path, str], list[tuple[Any, ...]]],
) -> None:
    combine(engines[3], sealed, REFERENCES, path=target)
    keys = query(
        target,
        "SELECT c.relname, k.contype, f.relname, k.conkey::text FROM pg_catalog.pg_constraint k "
        "JOIN pg_catalog.pg_class c ON c.oid = k.conrelid "
        "LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid",
    )
    told = {(name, str(kind).strip("b'"), other, columns) for name, kind, other, columns in keys}
    assert told == {
        ("GL", "f", "head[er]s", "[2]"),
        ("head[er]s", "f", "vend.ors", "[3,2]"),
        ("head[er]s", "p", None, "[1]"),
        ("vend.ors", "p", None, "[2,1]"),
    }


def test_sealed_extracts_are_not_touched(
    sealed: list[Part], engines: dict[int, Engine], target: Path
) -> None:
    combine(engines[3], sealed, REFERENCES, path=target)
    for part in sealed:
        assert sha256_of(part.extract) == part.manifest.sha256


def test_rows_that_share_a_key_are_refused(
    extracts: Extracts, engines: dict[int, Engine], target: Path
) -> None:
    """hyperd would believe the key without a look, and answer some joins wrongly."""
    extracts.run(MESSAGES, load_method="append-only")
    extracts.run(
        [VENDORS, record("vend.ors", {"area": "dat", "number": "V1", 'the "name"': "again"})],
        load_method="append-only",
    )
    with pytest.raises(DataError, match=r"'vend\.ors' has 1 values of 'number', 'area'"):
        combine(engines[3], parts(extracts), REFERENCES, path=target)


def test_rows_without_a_key_refer_to_nothing_and_may_be_many(
    extracts: Extracts, engines: dict[int, Engine], target: Path
) -> None:
    keyless = {
        **HEADERS,
        "key_properties": [],
        "schema": {"type": "object", "properties": {"id": {"type": ["null", "integer"]}}},
    }
    nothing = [record("head[er]s", {"id": None})] * 3
    extracts.run([LINES, MESSAGES[3], keyless, record("head[er]s", {"id": 0}), *nothing, VENDORS])
    combine(engines[3], parts(extracts)[:2], REFERENCES[1:], path=target)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"rows": 99}, "99 rows against 100", id="a row too many"),
        pytest.param({"totals": {"amount": "4945.01"}}, "4945.01 against 4945.00", id="a cent off"),
    ],
)
def test_a_table_that_differs_from_its_seal_is_refused(
    sealed: list[Part],
    engines: dict[int, Engine],
    target: Path,
    change: dict[str, Any],
    said: str,
) -> None:
    lines = sealed[0]
    content = {name: getattr(lines.manifest, name) for name in Manifest.__slots__}
    wrong = Part(lines.table, lines.extract, Manifest(**{**content, **change}))
    with pytest.raises(IntegrityError, match=said):
        combine(engines[3], [wrong], (), path=target)
