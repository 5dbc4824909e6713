"""Packaged data sources of several tables: what is taken, what is refused, what PATCH changes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.sandbox.tableau.test_publish_shapes import poll

from contoso_sandbox.tableau.documents import DocumentError, bracketed
from contoso_sandbox.tableau.publishing import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.sandbox.tableau.conftest import Hypers, Running

HYPER = "Data/Extracts/GL.hyper"
_COLUMNS = (
    ("sales", "k", "k", 20, "integer"),
    ("sales", "cust_id", "cust_id", 20, "integer"),
    ("sales", "amount", "amount", 5, "real"),
    ("cust", "id", "id", 20, "integer"),
    ("cust", "k", "k (cust)", 129, "string"),
)
_NUMBERS = itertools.count()


def relation(table: str) -> str:
    return f"<relation connection='h' name='{table}' table='[Extract].[{table}]' type='table'/>"


def document() -> str:
    """A live-to-Hyper document of two related tables that share the name of a column."""
    places = "".join(
        f"<map key='[{local}]' value='[{t}].[{c}]'/>" for t, c, local, _, _ in _COLUMNS
    )
    records = "".join(
        f"<metadata-record class='column'><remote-name>{column}</remote-name>"
        f"<remote-type>{number}</remote-type><local-name>[{local}]</local-name>"
        f"<parent-name>[{table}]</parent-name><remote-alias>{column}</remote-alias>"
        f"<ordinal>1</ordinal><local-type>{kind}</local-type><aggregation>Sum</aggregation>"
        f"<contains-null>true</contains-null><object-id>[{table}_obj]</object-id></metadata-record>"
        for table, column, local, number, kind in _COLUMNS
    )
    objects = "".join(
        f"<object caption='{t}' id='{t}_obj'><properties context=''>{relation(t)}</properties>"
        "</object>"
        for t in ("sales", "cust")
    )
    return (
        "<?xml version='1.0' encoding='utf-8' ?>"
        "<datasource formatted-name='GL' inline='true' version='18.1'>"
        "<connection class='federated'><named-connections><named-connection caption='GL' name='h'>"
        f"<connection authentication='auth-none' class='hyper' dbname='{HYPER}' schema='Extract'/>"
        "</named-connection></named-connections>"
        f"<relation type='collection'>{relation('sales')}{relation('cust')}</relation>"
        f"<cols>{places}</cols><metadata-records>{records}</metadata-records></connection>"
        "<aliases enabled='yes'/>"
        "<column caption='Amount' datatype='real' default-format='n#,##0.00' name='[amount]'"
        " role='measure' type='quantitative'><desc><formatted-text><run>What it cost</run>"
        "</formatted-text></desc></column>"
        "<folders-common><folder name='Money'><folder-item name='[amount]' type='field'/></folder>"
        "</folders-common><layout dim-ordering='alphabetic'/>"
        f"<object-graph><objects>{objects}</objects><relationships><relationship>"
        "<expression op='='><expression op='[cust_id]'/><expression op='[id]'/></expression>"
        "<first-end-point object-id='sales_obj'/><second-end-point object-id='cust_obj'/>"
        "</relationship></relationships></object-graph></datasource>"
    )


@pytest.fixture(scope="module")
def hyper(hypers: Hypers) -> Path:
    return hypers.write(
        [
            'CREATE TABLE "Extract"."cust" (id BIGINT, k TEXT)',
            'CREATE TABLE "Extract"."sales" (k BIGINT, cust_id BIGINT, amount NUMERIC(18, 2))',
            "INSERT INTO \"Extract\".\"cust\" VALUES (1, 'one'), (2, 'two')",
            'INSERT INTO "Extract"."sales" VALUES (10, 1, 5.25), (11, 2, -0.05)',
        ]
    )


@pytest.fixture
def refusing(running: Running) -> Iterator[Callable[[Refusal], None]]:
    yield running.server.refuse_packages
    running.server.refuse_packages(Refusal.NEVER)


def test_tables_relationships_and_texts_are_read(
    running: Running, hyper: Path, pack: Callable[..., Path]
) -> None:
    answer = running.rest("application/json").publish(pack(document(), hyper), "Two tables")
    assert answer.status_code == 201, answer.text
    content = running.server.package("Two tables")
    assert [(r.schema, r.table) for r in content.relations] == [
        ("Extract", "sales"),
        ("Extract", "cust"),
    ]
    (relationship,) = content.relationships
    assert relationship.pairs == (("cust_id", "id"),)
    (field,) = content.fields
    assert (field.caption, field.description) == ("Amount", "What it cost")
    assert field.default_format == "n#,##0.00"
    assert content.folders == {"Money": ("amount",)}


def test_an_update_changes_one_table_of_several(
    running: Running, hypers: Hypers, hyper: Path, pack: Callable[..., Path]
) -> None:
    rest = running.rest("application/json")
    assert rest.publish(pack(document(), hyper), "Updated").status_code == 201
    item = running.server.datasources()[-1]
    upload = rest.call("POST", "/sites/{site}/fileUploads").json()["fileUpload"]["uploadSessionId"]
    payload = hypers.table('"id" BIGINT, "k" TEXT', "(2, 'zwei')", "(3, 'drei')", table="delta")
    sent = rest.multipart(
        "PUT",
        f"/sites/{{site}}/fileUploads/{upload}",
        [
            ("request_payload", "", "text/xml", b""),
            ("tableau_file", "file", "application/octet-stream", payload.read_bytes()),
        ],
    )
    assert sent.status_code == 200, sent.text
    action = {
        "action": "upsert",
        "source-schema": "Extract",
        "source-table": "delta",
        "target-schema": "Extract",
        "target-table": "cust",
        "condition": {"op": "eq", "source-col": "id", "target-col": "id"},
    }
    accepted = rest.call(
        "PATCH",
        f"/sites/{{site}}/datasources/{item.id}/data?uploadSessionId={upload}",
        json={"actions": [action]},
        headers={"RequestID": "one table"},
    )
    assert poll(rest.call, accepted.json()["job"]["id"])["finishCode"] == "0"
    stored = running.server.hyper_file("Updated")
    customers = hypers.rows(stored, 'SELECT id, k FROM "Extract"."cust" ORDER BY 1')
    assert customers == [[1, "one"], [2, "zwei"], [3, "drei"]]
    assert hypers.rows(stored, 'SELECT count(*) FROM "Extract"."sales"') == [[2]]


BROKEN = [
    pytest.param("type='collection'", "type='join'", "type 'join'", id="join"),
    pytest.param("connection='h' name='sales'", "name='sales'", "names no connection", id="orphan"),
    pytest.param("<cols>", "<cols-not>", "needs 'cols'", id="no cols"),
    pytest.param(
        "value='[cust].[k]'", "value='[cust].[id]'", "differ on [k (cust)]", id="cols lie"
    ),
    pytest.param(
        "key='[k (cust)]'", "key='[other]'", "does not say whose", id="field without cols"
    ),
    pytest.param(
        "<local-name>[k (cust)]<", "<local-name>[k]<", "more than one", id="same name twice"
    ),
    pytest.param("[cust_obj]", "[nobody]", "of no object", id="field of no object"),
    pytest.param("[cust_obj]", "[sales_obj]", "of no object", id="field of another object"),
    pytest.param("<object-graph>", "<object-chart>", "0 elements 'object-graph'", id="no graph"),
    pytest.param("caption='cust' id='cust_obj'", "id=''", "no attribute 'id'", id="no object id"),
    pytest.param("<remote-name>amount<", "<remote-name>cost<", "not there", id="no such column"),
    pytest.param("<local-type>real<", "<local-type>string<", "in the .tds string", id="other type"),
    pytest.param("datatype='real'", "datatype='date'", "another type", id="column of another type"),
    pytest.param("name='[amount]' role", "name='[nil]' role", "is no field", id="no such field"),
    pytest.param("role='measure'", "role='dimension'", "is a dimension of", id="role and type"),
    pytest.param(
        "<folder-item name='[amount]'", "<folder-item name='[a]'", "no field", id="folder"
    ),
    pytest.param("<aliases enabled='yes'/><c", "<layout/><c", "in the order", id="order"),
    pytest.param("op='[id]'", "op='[ID]'", "by [ID], which is no field", id="relates nothing"),
    pytest.param("op='[id]'", "op='[k]'", "not of its object", id="relates the wrong table"),
    pytest.param(
        "op='[id]'", "op='[k (cust)]'", "compares real with string", id="relates two types"
    ),
    pytest.param("op='='", "op='>'", "relationship is by '>'", id="another operator"),
    pytest.param(
        "second-end-point object-id='cust_obj'",
        "second-end-point object-id='x'",
        "no object",
        id="end",
    ),
    pytest.param(
        "second-end-point object-id='cust",
        "second-end-point object-id='sales",
        "not of its",
        id="loop",
    ),
    pytest.param(
        "<relationships>", "<relations>", "no relationship connects", id="unrelated tables"
    ),
    pytest.param("<remote-type>5<", "<remote-type>five<", "cannot be read", id="type is no number"),
    pytest.param("<ordinal>1</ordinal>", "", "0 elements 'ordinal'", id="no ordinal"),
    pytest.param("version='18.1'", "", "with a version", id="no version"),
]


@pytest.mark.parametrize(("old", "new", "detail"), BROKEN)
def test_a_document_that_does_not_fit_is_refused(
    *,
    running: Running,
    hyper: Path,
    pack: Callable[..., Path],
    old: str,
    new: str,
    detail: str,
) -> None:
    text = document()
    assert old in text
    opened, closed = old.strip("<>"), new.strip("<>")
    text = text.replace(old, new) if old.startswith("<cols") else text.replace(old, new, 1)
    if old == f"<{opened}>":
        text = text.replace(f"</{opened}>", f"</{closed}>")
    rest = running.rest("application/json")
    answer = rest.publish(pack(text, hyper), f"Broken {next(_NUMBERS)}")
    assert rest.error(answer) == "400011", answer.text
    assert detail in answer.json()["error"]["detail"]


@pytest.mark.parametrize("when", [Refusal.AT_ONCE, Refusal.IN_JOB])
def test_packages_may_be_refused_altogether(
    *,
    running: Running,
    hypers: Hypers,
    hyper: Path,
    pack: Callable[..., Path],
    refusing: Callable[[Refusal], None],
    when: Refusal,
) -> None:
    refusing(when)
    rest = running.rest("application/json")
    answer = rest.publish(pack(document(), hyper), f"Refused {when}", "&asJob=true")
    if when is Refusal.AT_ONCE:
        assert rest.error(answer) == "400011"
    else:
        assert answer.status_code == 202
        assert poll(rest.call, answer.json()["job"]["id"])["finishCode"] == "1"
    assert rest.publish(hypers.table('"k" INT', "(1)"), f"Bare {when}").status_code == 201


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("[a].[b]", ("a", "b"), id="two names"),
        pytest.param("[a]]b].[c.d]", ("a]b", "c.d"), id="brackets and dots within names"),
        pytest.param("[]]]", ("]",), id="a bracket alone"),
        pytest.param("[]", ("",), id="an empty name"),
    ],
)
def test_names_in_brackets_are_taken_apart(text: str, names: tuple[str, ...]) -> None:
    assert bracketed(text, len(names)) == names


@pytest.mark.parametrize("text", ["", "a", "[a", "[a]b]", "[a][b]", "[a].[b].", "[a].b", ".[a]"])
def test_other_names_are_refused(text: str) -> None:
    for parts in (1, 2):
        with pytest.raises(DocumentError):
            bracketed(text, parts)
