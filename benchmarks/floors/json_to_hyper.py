"""Floor of RECORD: pyarrow decodes lines of JSON, and hyperd makes a table of the rows.

    python -m benchmarks.floors.json_to_hyper EXTRACT LINES SCHEMA

The lines are bare records, without the messages around them: less to decode than the target has.
``SCHEMA`` is a Parquet file with the wanted types. hyperd takes rows from files alone, so they go
through one, in the form that costs least: Parquet without compression and dictionaries (Arrow's own
format takes hyperd as long or longer).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow.json
import pyarrow.parquet as pq
from benchmarks.floors.hyper_sql import insert


def main(extract: Path, lines: Path, schema: Path) -> None:
    """Decode with all processors, then insert."""
    options = pyarrow.json.ParseOptions(explicit_schema=pq.read_schema(schema))
    rows = pyarrow.json.read_json(lines, parse_options=options)
    between = extract.with_suffix(".parquet")
    pq.write_table(rows, between, compression="none", use_dictionary=False, write_statistics=False)
    insert(extract, [between])
    between.unlink()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
