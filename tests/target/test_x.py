from decimal import Decimal
from tests.target.messages import *

AMOUNT = {"id": {"type": "integer"}, "amt": {"type": ["null", "number"]}}


def test_it(extracts, rows, tableau):
    extracts.config = tableau.config
    m = [
        schema("GL", AMOUNT),
        *(record("GL", {"id": i, "amt": Decimal("-0.05")}) for i in range(10)),
        state({"a": 1}),
    ]
    print(extracts.run(m))
    print(rows(extracts.path("GL")))
    print(extracts.manifest("GL")["delivered"])
    print(extracts.run(m))
    print([(r.method, r.path, r.status) for r in tableau.server.requests])
    tableau.server.requests.clear()
    print(
        extracts.run(
            [
                schema("GL", AMOUNT),
                record("GL", {"id": 1, "amt": Decimal("7.5")}),
                record("GL", {"id": 11, "amt": Decimal("7.5")}),
                record("GL", {"id": 2, "_sdc_deleted_at": "2024-01-01T00:00:00Z"}),
                state({"a": 2}),
            ]
        )
    )
    print([(r.method, r.path, r.status) for r in tableau.server.requests])
    print(rows(tableau.server.hyper_file("GL")))
    assert rows(tableau.server.hyper_file("GL")) == rows(extracts.path("GL"))
