"""How the table that is there and the columns of a run become one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_core.errors import DataError
from target_tableau_hyper.extract.layout import TableColumn, incoming_columns, plan_layout
from target_tableau_hyper.extract.schema import Column, Kind
from target_tableau_hyper.extract.staged import Segment, SegmentColumn


def number(precision: int, scale: int, whole: int | None = None) -> TableColumn:
    """A NUMERIC whose values use all of its digits, or ``whole`` before the point."""
    used = precision - scale if whole is None else whole
    return TableColumn("c", Kind.NUMERIC, precision, scale, whole=used)


def plain(kind: Kind) -> TableColumn:
    return TableColumn("c", kind, whole=19 if kind is Kind.INTEGER else 0)


@pytest.mark.parametrize(
    ("existing", "incoming", "sql_type", "rewrite"),
    [
        pytest.param(number(18, 2), number(18, 2, 5), "NUMERIC(18,2)", False, id="same"),
        pytest.param(number(18, 4), number(18, 2, 5), "NUMERIC(18,4)", False, id="fewer places"),
        pytest.param(number(18, 2, 6), number(18, 4, 6), "NUMERIC(18,4)", True, id="more places"),
        pytest.param(
            number(18, 2, 16), number(18, 4, 6), "NUMERIC(38,4)", True, id="more places, full width"
        ),
        pytest.param(
            number(18, 2), number(38, 2, 20), "NUMERIC(38,2)", True, id="more digits in front"
        ),
        pytest.param(
            number(18, 2), number(38, 2, 6), "NUMERIC(18,2)", False, id="data win over a hint"
        ),
        pytest.param(
            plain(Kind.INTEGER), number(18, 2, 3), "NUMERIC(38,2)", True, id="int, number"
        ),
        pytest.param(
            number(38, 6, 5), plain(Kind.INTEGER), "NUMERIC(38,6)", False, id="number, int"
        ),
        pytest.param(plain(Kind.DATE), plain(Kind.TIMESTAMP), "TEXT", True, id="date, instant"),
        pytest.param(plain(Kind.TEXT), plain(Kind.INTEGER), "TEXT", False, id="text takes all"),
        pytest.param(plain(Kind.BOOLEAN), plain(Kind.TEXT), "TEXT", True, id="flag becomes text"),
    ],
)
def test_types_only_widen(
    existing: TableColumn,
    incoming: TableColumn,
    sql_type: str,
    rewrite: bool,  # noqa: FBT001
) -> None:
    layout = plan_layout("s", [existing], [incoming], keys=())
    assert [column.sql_type for column in layout.columns] == [sql_type]
    assert layout.rewrite is rewrite
    assert layout.changed is rewrite


def test_new_table_has_incoming_columns_and_keys_that_are_not_null() -> None:
    layout = plan_layout(
        "s", None, [TableColumn("k", Kind.TEXT), TableColumn("v", Kind.DATE)], keys=["k"]
    )
    assert [c.definition for c in layout.columns] == ['"k" TEXT NOT NULL', '"v" DATE']
    assert layout.is_new
    assert layout.added == ()


def test_new_columns_are_added_without_a_rewrite_and_old_ones_stay() -> None:
    layout = plan_layout("s", [TableColumn("a", Kind.TEXT)], [TableColumn("b", Kind.DATE)], keys=())
    assert [c.name for c in layout.columns] == ["a", "b"]
    assert [c.name for c in layout.added] == ["b"]
    assert not layout.rewrite
    assert layout.changed


def test_column_that_becomes_a_key_is_rewritten_as_not_null() -> None:
    layout = plan_layout(
        "s", [TableColumn("a", Kind.TEXT)], [TableColumn("a", Kind.TEXT)], keys=["a"]
    )
    assert layout.rewrite
    assert not layout.columns[0].nullable


def test_file_format_without_wide_decimals_says_which_setting_helps() -> None:
    with pytest.raises(DataError, match=r"stream 's', column 'c'.*hyper_version to 3"):
        plan_layout("s", [number(18, 2, 16)], [number(18, 4, 6)], keys=(), digits=18)


@pytest.mark.parametrize(
    ("hint", "whole", "scale", "digits", "sql_type"),
    [
        pytest.param((None, None), 3, 2, 38, "NUMERIC(18,2)", id="small amounts"),
        pytest.param((None, None), 17, 2, 38, "NUMERIC(38,2)", id="large amounts"),
        pytest.param((32, 6), 3, 2, 38, "NUMERIC(38,6)", id="hint of the source"),
        pytest.param((32, 6), 3, 16, 38, "NUMERIC(38,16)", id="data need more than the hint"),
        pytest.param((32, 16), 30, 2, 38, "NUMERIC(38,2)", id="hint does not fit the data"),
        pytest.param((32, 6), 3, 2, 18, "NUMERIC(18,6)", id="hint in the older file format"),
        pytest.param((32, 16), 9, 2, 18, "NUMERIC(18,2)", id="hint too wide for the older format"),
    ],
)
def test_decimals_get_the_digits_that_data_and_hint_need(
    hint: tuple[int | None, int | None], whole: int, scale: int, digits: int, sql_type: str
) -> None:
    column = Column("c", Kind.NUMERIC, precision=hint[0], scale=hint[1])
    segment = Segment(Path("x"), (SegmentColumn(column, whole, scale),), 1)
    (sized,) = incoming_columns("s", [segment], {"c": column}, digits=digits)
    assert sized.sql_type == sql_type


def test_segments_of_several_schemas_meet_in_one_type() -> None:
    first, second = Column("c", Kind.INTEGER), Column("c", Kind.NUMERIC)
    segments = [
        Segment(Path("1"), (SegmentColumn(first),), 1),
        Segment(Path("2"), (SegmentColumn(second, 2, 3),), 1),
    ]
    (sized,) = incoming_columns("s", segments, {"c": second})
    assert sized.sql_type == "NUMERIC(38,3)"


def test_digits_of_all_segments_together_must_fit() -> None:
    column = Column("c", Kind.NUMERIC)
    segments = [
        Segment(Path("1"), (SegmentColumn(column, 30, 2),), 1),
        Segment(Path("2"), (SegmentColumn(column, 2, 20),), 1),
    ]
    with pytest.raises(DataError, match="30 digits before and 20 after"):
        incoming_columns("s", segments, {"c": column})
