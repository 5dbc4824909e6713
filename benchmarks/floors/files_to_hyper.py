"""Floor of BATCH: hyperd makes a table of Parquet files.

python files_to_hyper.py EXTRACT FILE...
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.floors.hyper_sql import insert

if __name__ == "__main__":
    extract, *files = map(Path, sys.argv[1:])
    insert(extract, files)
