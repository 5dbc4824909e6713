"""More vendors for Contoso than it makes itself, and changes to many of them at once."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from contoso_sandbox.model import REC_ID, REC_VERSION

if TYPE_CHECKING:
    from contoso_sandbox.world import World

SET = "VendorsV2"
_ACCOUNT = '"VendorAccountNumber"'
#: Further apart than any two RecIds of Contoso.
_APART = 1_000_000_000


def multiply(world: World, wanted: int) -> None:
    """Repeat the vendors under other accounts until there are at least so many."""
    with closing(world.cursor()) as cursor:
        row = cursor.execute(f"SELECT count(*) FROM {SET}").fetchone()  # noqa: S608 - ours
        there = row[0] if row else 0
        cursor.execute(
            f"INSERT INTO {SET} SELECT v.* REPLACE ("  # noqa: S608 - ours
            f"{_ACCOUNT} || '-' || n AS {_ACCOUNT}, {REC_ID} + n * {_APART} AS {REC_ID}) "
            f"FROM {SET} v, range(1, ?) AS copies(n)",
            [-(-wanted // there)],
        )


def change(world: World, share: float) -> int:
    """Change a share of the vendors, and their etags; returns how many."""
    with closing(world.cursor()) as cursor:
        row = cursor.execute(
            f"UPDATE {SET} SET \"VendorSearchName\" = 'changed', "  # noqa: S608 - ours
            f"{REC_VERSION} = {REC_VERSION} % 2000000000 + 1 "
            f"WHERE hash({_ACCOUNT}, 7) % 10000 < ?",
            [round(share * 10_000)],
        ).fetchone()
    return int(row[0]) if row else 0
