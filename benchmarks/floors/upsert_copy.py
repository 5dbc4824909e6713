"""Floor of an upsert: copy the extract, and let hyperd delete and insert in the copy.

python upsert_copy.py EXTRACT COPY KEY CHANGES
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks.floors.hyper_sql import external, opened


def main(extract: Path, copy: Path, key: str, changes: Path) -> None:
    """Copy, delete by key, insert."""
    shutil.copyfile(extract, copy)
    table, rows = '"Extract"."Extract"', external([changes])
    with opened(copy, create=False) as connection:
        columns = connection.catalog.get_table_definition(
            connection.catalog.get_table_names("Extract")[0]
        ).columns
        names = ", ".join(str(column.name) for column in columns)
        for statement in (
            "BEGIN TRANSACTION",
            f'DELETE FROM {table} WHERE "{key}" IN (SELECT "{key}" FROM {rows})',  # noqa: S608 - ours
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {rows}",  # noqa: S608 - ours
            "COMMIT",
        ):
            connection.execute_command(statement)


if __name__ == "__main__":
    extract, copy, key, changes = sys.argv[1:]
    main(Path(extract), Path(copy), key, Path(changes))
