"""Strategy ``full``: read every row of a partition, and notice when one may have been missed.

F&O pages by position over live data: a row that is deleted meanwhile shifts the ones behind it, and
one of them falls between two pages. A full order by the key keeps pages disjoint while nothing
moves; the number of rows at the start tells whether something did.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline_core.errors import TransientError
from tap_d365fo.reading.rows import identify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tap_d365fo.reading.pages import PageReader
    from tap_d365fo.reading.query import Query

#: Walks through a partition whose rows keep moving, before the run gives up.
_WALKS = 3

_logger = logging.getLogger("tap-d365fo.full")


def read_full(
    reader: PageReader, query: Query, environment_url: str, key: tuple[str, ...]
) -> Iterator[list[dict[str, Any]]]:
    """All rows that match ``query``, page by page.

    Each row comes once, except where the walk must be repeated: then rows come again, which a
    target that upserts by key takes without harm.

    Raises:
        TransientError: rows move faster than they can be read.
    """
    url = replace(query, count=bool(key)).url(environment_url)
    identity = identify(key)
    for walk in range(1, _WALKS + 1):
        seen: set[object] = set()
        expected = 0
        for page in reader.walk(url):
            expected = page.count if page.count is not None else expected
            if not key:
                yield page.rows
                continue
            fresh = []
            for row in page.rows:
                known = identity(row)
                if known not in seen:
                    seen.add(known)
                    fresh.append(row)
            if len(fresh) < len(page.rows):
                _logger.info(
                    "%s: %d rows came twice", query.entity_set, len(page.rows) - len(fresh)
                )
            yield fresh
        if not key or len(seen) >= expected:
            return
        _logger.warning(
            "%s: %d of %d rows came, the others moved between pages; walk %d of %d",
            *(query.entity_set, len(seen), expected, walk, _WALKS),
        )
    message = (
        f"{query.entity_set}: rows move faster than they can be read; run again at a calmer hour"
    )
    raise TransientError(message)
