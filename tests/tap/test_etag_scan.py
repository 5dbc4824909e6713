"""Strategy ``etag_scan``: whatever happens, a target ends up with what the table holds."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from tests.tap.odata_table import ODataTable
from tests.tap.partitions import Target, partition

from pipeline_core.errors import DataError, IntegrityError, TransientError
from tap_d365fo.metadata.model import Entity, Property
from tap_d365fo.reading import etag_scan
from tap_d365fo.reading.plan import Strategy

if TYPE_CHECKING:
    from tap_d365fo.partition import Partition

NO_YES = "Microsoft.Dynamics.DataEntities.NoYes"

COMPANY = Property("dataAreaId", "Edm.String", "String", is_key=True)
NAME = Property("Name", "Edm.String", "String", is_key=True)
VALUE = Property("Value", "Edm.Int32", "Int32", is_key=False)

PER_COMPANY = Entity("Vendors", (COMPANY, NAME, VALUE))
COMPANY_ONLY = Entity("Parameters", (COMPANY, VALUE))
MIXED = Entity(
    "Journals",
    (
        Property("Ledger", "Edm.Int64", "Int64", is_key=True),
        Property("Line", "Edm.Decimal", "Real", is_key=True),
        Property("From", "Edm.DateTimeOffset", "Date", is_key=True),
        Property("Kind", NO_YES, "Enum", is_key=True),
        Property("Id", "Edm.Guid", "Guid", is_key=True),
        NAME,
        VALUE,
    ),
)

#: Names that hurt: wildcards, quotes, case, letters beyond ASCII, blanks, an address of its own.
NAMES = ["a", "A", "ab", "AB", "a*", "*", "a*c", "abc", "o'b", " x", "ü", "Ü", "+&#%", "b", "c"]
NAMES += ["d", "e", "f", "z" * 1900]


def row(name: str, value: int = 0, company: str = "usmf") -> dict[str, Any]:
    return {"dataAreaId": company, "Name": name, "Value": value}


def table_of(*names: str, page_size: int = 10) -> ODataTable:
    table = ODataTable(("dataAreaId", "Name"), page_size)
    for name in names:
        table.insert(row(name))
    return table


def run(table: ODataTable, target: Target, tmp_path: Path, **changes: object) -> Partition:
    part = partition(table, PER_COMPANY, tmp_path, **changes)  # type: ignore[arg-type]
    assert target.run(part, table)
    return part


#: Limits on the scale of a dozen rows, so that runs read by key or all again, hand over in several
#: portions, and write their snapshots anew.
_SMALL = {"_KEYS_A_REQUEST": 1, "_ROWS_A_PAGE": 3, "_PORTION_ROWS": 2, "_LONGEST_CHAIN": 3}


class Books(RuleBasedStateMachine):
    """Rows come, change, move and go, between runs and during them; runs die and are repeated."""

    entity = PER_COMPANY

    def __init__(self) -> None:
        super().__init__()
        self.scaled = pytest.MonkeyPatch()
        for name, small in _SMALL.items():
            self.scaled.setattr(etag_scan, name, small)
        self.folder = tempfile.TemporaryDirectory()
        self.table = ODataTable(self.entity.key, page_size=3)
        self.target = Target()
        self.earlier: list[Target] = []

    def teardown(self) -> None:
        try:
            self.settled()
        finally:
            self.scaled.undo()
            self.folder.cleanup()

    def new_row(self, data: st.DataObject) -> dict[str, Any]:
        return row(data.draw(st.sampled_from(NAMES)), company=data.draw(st.sampled_from(["usmf"])))

    def change(self, data: st.DataObject) -> None:
        """Any one change of the table."""
        kind = data.draw(st.sampled_from(["insert", "insert", "update", "delete", "rename"]))
        if kind == "insert" or not self.table.rows:
            self.table.insert(self.new_row(data))
            return
        chosen = data.draw(st.sampled_from(range(len(self.table.rows))))
        if kind == "delete":
            del self.table.rows[chosen]
            return
        changed = self.table.rows[chosen] = dict(self.table.rows[chosen])
        if kind == "rename":
            self.rename(changed, data)
        changed["Value"] += 1
        self.table.touch(changed)

    def rename(self, changed: dict[str, Any], data: st.DataObject) -> None:
        """Write a key in another case; that of the company is no other key."""
        names = [n for n in self.entity.key if isinstance(changed[n], str)]
        if name := data.draw(st.sampled_from(names)) if names else None:
            changed[name] = changed[name].swapcase()

    @rule(data=st.data(), changes=st.integers(1, 8))
    def rows_change(self, data: st.DataObject, changes: int) -> None:
        for _ in range(changes):
            self.change(data)

    @rule(portions=st.none() | st.integers(0, 3))
    def run(self, portions: int | None) -> None:
        self.earlier.append(self.target.copy())
        self.target.run(self.partition(), self.table, portions=portions)

    @rule(data=st.data(), portions=st.none() | st.integers(0, 3))
    def run_while_rows_change(self, data: st.DataObject, portions: int | None) -> None:
        living = set(self.table.by_key())
        told = len(self.target.deleted)

        def before_page(_ordinal: int) -> None:
            if data.draw(st.integers(0, 2)) == 0:
                self.change(data)
                living.intersection_update(self.table.by_key())

        self.table.before_page = before_page
        with suppress(TransientError):  # rows that move faster than they can be read
            self.target.run(self.partition(), self.table, portions=portions)
        self.table.before_page = lambda _ordinal: None
        assert not living.intersection(self.target.deleted[told:]), "a living row was deleted"

    @precondition(lambda self: self.earlier)
    @rule(data=st.data())
    def an_older_state_comes_back(self, data: st.DataObject) -> None:
        self.target = self.earlier[data.draw(st.integers(0, len(self.earlier) - 1))].copy()

    @rule(data=st.data())
    def a_snapshot_is_lost_or_damaged(self, data: st.DataObject) -> None:
        chain = self.target.state.get("snapshot")
        if not chain:
            return
        name = data.draw(st.sampled_from(range(len(chain))))
        (path,) = Path(self.folder.name).rglob(chain[name]["name"])
        match data.draw(st.sampled_from(["lost", "cut", "altered"])):
            case "lost":
                path.write_bytes(b"")
            case "cut":
                path.write_bytes(path.read_bytes()[:-1])
            case _:
                path.write_bytes(path.read_bytes()[::-1])

    @rule()
    def settled(self) -> None:
        """A run that nobody disturbs, and one more: a version removes only what came before."""
        assert self.target.run(self.partition(), self.table)
        assert self.target.run(self.partition(), self.table)
        assert self.target.rows == self.table.by_key()
        asked = len(self.table.asked)
        assert self.target.run(self.partition(), self.table)
        assert all("Value" not in query for query in self.table.asked[asked:]), "nothing changed"

    def partition(self) -> Partition:
        return partition(
            self.table,
            self.entity,
            Path(self.folder.name),
            max_delete_fraction=1.0,
            select=tuple(p.name for p in self.entity.properties),
        )


class MixedKeys(Books):
    """Keys of several parts, of all types, some without a value."""

    entity = MIXED

    def new_row(self, data: st.DataObject) -> dict[str, Any]:
        return {
            "Ledger": data.draw(st.sampled_from([0, 5637144576000000001, 2**53 + 1])),
            "Line": data.draw(st.sampled_from([1, Decimal("1.5"), Decimal("-0.000001")])),
            "From": data.draw(st.sampled_from(["1900-01-01T12:00:00Z", "2026-06-26T12:00:00Z"])),
            "Kind": data.draw(st.sampled_from(["Yes", "No", None])),
            "Id": data.draw(
                st.sampled_from([f"00000000-0000-0000-0000-00000000000{n}" for n in range(3)])
            ),
            "Name": data.draw(st.sampled_from(["", "a", "o'b*"])),
            "Value": 0,
        }

    def rename(self, changed: dict[str, Any], _data: st.DataObject) -> None:
        changed["Name"] = changed["Name"].swapcase()


class CompanyAlone(Books):
    """One row a company: no part of the key can be asked for."""

    entity = COMPANY_ONLY

    def new_row(self, data: st.DataObject) -> dict[str, Any]:
        return {"dataAreaId": data.draw(st.sampled_from(["usmf", "USMF"])), "Value": 0}


_THOROUGH = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestBooks = Books.TestCase
TestBooks.settings = _THOROUGH
TestMixedKeys = MixedKeys.TestCase
TestMixedKeys.settings = _THOROUGH
TestCompanyAlone = CompanyAlone.TestCase
TestCompanyAlone.settings = _THOROUGH


def test_only_what_changed_is_asked_for(tmp_path: Path) -> None:
    table = table_of(*(f"v{n}" for n in range(1000)), page_size=100)
    target = Target()
    run(table, target, tmp_path)
    for number in (3, 400, 999):
        table.rows[number]["Value"] = 7
        table.touch(table.rows[number])
    table.insert(row("new"))
    del table.rows[0]
    table.asked.clear()
    run(table, target, tmp_path, select=("dataAreaId", "Name", "Value"))
    assert target.rows == table.by_key()
    assert target.deleted == [("usmf", "v0")]
    assert sum("Value" in query for query in table.asked) == 1
    assert table.received < 1.11 * (1000 + 1000) + 4, "twice all keys, with their overlap"


def test_when_most_changed_all_is_read(tmp_path: Path) -> None:
    table = table_of(*(f"v{n}" for n in range(200)), page_size=100)
    target = Target()
    run(table, target, tmp_path)
    for changed in table.rows[:150]:
        changed["Value"] = 7
        table.touch(changed)
    table.asked.clear()
    part = run(table, target, tmp_path)
    assert target.rows == table.by_key()
    assert all(" eq 'v" not in query and "Name%20eq" not in query for query in table.asked)
    sent = [r for p in part.portions(target.state) for r in p.rows]
    assert sent == [], "what came is remembered"


def test_too_many_deletions_stop_the_partition_before_anything_is_said(tmp_path: Path) -> None:
    table = table_of(*(f"v{n}" for n in range(100)), page_size=30)
    target = Target()
    run(table, target, tmp_path)
    held = target.copy()
    del table.rows[:21]
    table.touch(table.rows[0])
    with pytest.raises(IntegrityError, match="21 of 100 rows"):
        run(table, target, tmp_path)
    assert target == held
    run(table, target, tmp_path, max_delete_fraction=0.21)
    assert target.rows == table.by_key()


@pytest.mark.parametrize(("gone", "stops"), [(10, False), (11, True)])
def test_a_few_deletions_are_never_suspicious(tmp_path: Path, gone: int, stops: bool) -> None:  # noqa: FBT001
    table = table_of(*(f"v{n}" for n in range(12)))
    target = Target()
    run(table, target, tmp_path)
    del table.rows[:gone]
    if stops:
        with pytest.raises(IntegrityError):
            run(table, target, tmp_path, max_delete_fraction=0)
    else:
        run(table, target, tmp_path, max_delete_fraction=0)
        assert target.rows == table.by_key()


@pytest.mark.parametrize("entity", [PER_COMPANY, COMPANY_ONLY], ids=["by key", "by a second scan"])
def test_a_scan_that_misses_living_rows_deletes_none(tmp_path: Path, entity: Entity) -> None:
    """The answer is cut and counts itself; the second look is honest."""
    table = ODataTable(entity.key, page_size=50)
    for name in ("a", "b", "c") if entity is PER_COMPANY else ("a",):
        table.insert({n: v for n, v in row(name).items() if entity.find(n)})
    target = Target()
    assert target.run(partition(table, entity, tmp_path), table)
    hidden = table.rows

    def hide(ordinal: int) -> None:
        table.rows = [] if ordinal == start else hidden

    start = len(table.asked)
    table.before_page = hide
    part = partition(table, entity, tmp_path)
    object.__setattr__(part.source, "sees_company", lambda _company: True)
    assert target.run(part, table)
    assert target.deleted == []
    assert target.rows == table.by_key()


def test_a_rename_between_scan_and_read_leaves_no_second_row(tmp_path: Path) -> None:
    """``abc`` is scanned, and comes as ``ABC`` when all rows are read: ``abc`` is in the target."""
    table = table_of("abc", *(f"v{n}" for n in range(90)), page_size=500)
    target = Target()
    run(table, target, tmp_path)
    for changed in table.rows[1:]:
        table.touch(changed)
    start = len(table.asked)

    def rename(ordinal: int) -> None:
        if ordinal == start + 1:
            table.rows[0] = {**table.rows[0], "Name": "ABC"}

    table.before_page = rename
    run(table, target, tmp_path)
    assert "Name%20eq" not in table.asked[start + 1], "all rows are read"
    run(table, target, tmp_path)
    assert target.rows == table.by_key()
    assert target.deleted == [("usmf", "abc")]


def test_an_interrupted_first_read_goes_on_where_it_was(tmp_path: Path) -> None:
    table = table_of(*(f"v{n:03}" for n in range(100)), page_size=10)
    for portions in range(1, 11):
        target = Target()
        folder = tmp_path / str(portions)
        assert not target.run(partition(table, PER_COMPANY, folder), table, portions=portions)
        table.received = 0
        assert target.run(partition(table, PER_COMPANY, folder), table)
        assert target.rows == table.by_key()
        # A few rows overlap at each page edge, and each of two counts brings one.
        assert table.received <= (100 - 10 * portions) + 11, "what was committed comes no more"


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"@odata.etag": None}, id="null"),
        pytest.param({"@odata.etag": 7}, id="a number"),
    ],
)
def test_rows_without_an_etag_are_refused(tmp_path: Path, spoil: dict[str, Any]) -> None:
    """Null stands for a deletion in a snapshot; it must not get there."""
    table = table_of("a")
    table.rows[0].update(spoil)
    with pytest.raises(DataError, match="without an etag; use replication: full"):
        run(table, Target(), tmp_path)


def test_rows_without_their_key_are_refused(tmp_path: Path) -> None:
    table = table_of("a")
    table.rows[0]["dataAreaId"] = None
    part = partition(table, PER_COMPANY, tmp_path)
    object.__setattr__(part, "company", None)
    with pytest.raises(DataError, match="without the whole key"):
        Target().run(part, table)


def test_a_key_longer_than_an_address_is_found_by_reading_all(tmp_path: Path) -> None:
    """The table refuses addresses that are too long."""
    table = table_of("z" * 3000, "a", "b", page_size=2)
    target = Target()
    run(table, target, tmp_path)
    for changed in table.rows:
        table.touch(changed)
    run(table, target, tmp_path)
    assert target.rows == table.by_key()
    del table.rows[0]
    run(table, target, tmp_path)
    assert target.rows == table.by_key()


def test_a_chain_of_many_runs_is_written_as_one_file(tmp_path: Path) -> None:
    table = table_of("a", "b", "c")
    target = Target()
    longest = 0
    for _ in range(40):
        table.touch(table.rows[0])
        run(table, target, tmp_path)
        longest = max(longest, len(target.state["snapshot"]))
    assert target.rows == table.by_key()
    assert 10 <= longest <= 16


def test_another_strategy_in_between_leaves_no_row_behind(tmp_path: Path) -> None:
    """The snapshot did not see what the full read handed over."""
    table = table_of("a", "b")
    target = Target()
    run(table, target, tmp_path)
    table.insert(row("c"))
    run(table, target, tmp_path, strategy=Strategy.FULL)
    assert "snapshot" not in target.state
    del table.rows[2]
    run(table, target, tmp_path)
    assert target.rows == table.by_key()


def test_a_full_read_that_was_interrupted_does_not_mislead_a_scan(tmp_path: Path) -> None:
    """Both note in their state where they go on, each in its own way."""
    table = table_of(*"abcdef", page_size=2)
    target = Target()
    part = partition(table, PER_COMPANY, strategy=Strategy.FULL)
    assert not target.run(part, table, portions=2)
    assert "resume" in target.state
    run(table, target, tmp_path)
    assert target.rows == table.by_key()


def test_two_pipelines_share_a_folder(tmp_path: Path) -> None:
    table = table_of("a", "b")
    one, other = Target(), Target()
    run(table, one, tmp_path)
    table.insert(row("c"))
    run(table, other, tmp_path)
    del table.rows[0]
    run(table, one, tmp_path)
    table.insert(row("d"))
    run(table, other, tmp_path)
    run(table, one, tmp_path)
    assert one.rows == other.rows == table.by_key()
    assert one.deleted == other.deleted == [("usmf", "a")]


def test_a_first_read_that_cannot_go_on_behind_a_key_forgets_nothing(tmp_path: Path) -> None:
    """An enum has no order; a row that was handed over is gone when the read goes on."""
    kind = Property("Kind", NO_YES, "Enum", is_key=True)
    entity = Entity("Things", (NAME, kind, VALUE))
    table = ODataTable(entity.key, page_size=2)
    for name in "abcdef":
        table.insert({"Name": name, "Kind": "Yes", "Value": 0})
    target = Target()
    assert not target.run(partition(table, entity, tmp_path), table, portions=1)
    del table.rows[0]
    assert target.run(partition(table, entity, tmp_path), table)
    assert target.rows == table.by_key()
    assert target.deleted == [("a", "Yes")]
