"""Fetch some rows of an entity set by their keys, many in one request."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import quote

from tap_d365fo.reading.query import LONGEST_QUERY, PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tap_d365fo.reading.keys import KeyForm
    from tap_d365fo.reading.pages import Page, PageReader
    from tap_d365fo.reading.query import Query
    from tap_d365fo.reading.typed_rows import Row

_OR = len("%20or%20()")


def fetch_by_key(
    reader: PageReader,
    query: Query,
    environment_url: str,
    keys: Iterable[Row],
    form: KeyForm,
) -> Iterator[Page]:
    """Rows with one of ``keys``; those that are gone do not come, others may.

    An ``or`` of keys in one ``$filter``, as long as an address may be. benchmarks/by_key.py
    measures it against by-key reads and ``$batch``.

    Raises:
        ValueError: a key has a part without a value.
    """
    room = LONGEST_QUERY - len(query.where("()").query_string())
    for conditions in _chunks((_condition(key, form) for key in keys), room):
        joined = (
            conditions[0] if len(conditions) == 1 else " or ".join(f"({c})" for c in conditions)
        )
        yield from reader.walk(query.where(joined).url(environment_url))


def _condition(key: Row, form: KeyForm) -> str:
    literals = form.literals(key)
    if literals is None:
        message = "a key has a part without a value"
        raise ValueError(message)
    return form.equals(literals)


def _chunks(conditions: Iterator[str], room: int) -> Iterator[list[str]]:
    """Cut ``conditions`` into lists that fit into an address; each holds at least one."""
    chunk = list(islice(conditions, 1))
    used = sum(len(quote(c, safe=PLAIN)) + _OR for c in chunk)
    for condition in conditions:
        size = len(quote(condition, safe=PLAIN)) + _OR
        if used + size > room:
            yield chunk
            chunk, used = [], 0
        chunk.append(condition)
        used += size
    if chunk:
        yield chunk
