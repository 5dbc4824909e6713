"""One page of rows, and the walk from page to page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from pipeline_core.errors import DataError
from tap_d365fo.reading.typed_rows import TypedRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_d365fo.access.client import Answer
    from tap_d365fo.access.document import ReadRows
    from tap_d365fo.access.links import LinkRebaser
    from tap_d365fo.reading.typed_rows import Row


#: Where F&O's nextLink says at which row to go on.
_POSITION = re.compile(r"([?&](?:\$|%24)skip=)(\d+)", re.IGNORECASE)


#: Pages without a new row that may follow each other. F&O sends none; a link that leads on for ever
#: must end somewhere.
_MOST_BARREN_PAGES = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer.

    Attributes:
        rows: As received; dictionaries with all that came, or typed rows of what is selected.
        count: Rows that match the whole query, where it was asked for.
        next_url: Address of the next page on our own origin; None on the last one.
        size_bytes: Length of the unpacked answer.
        received_at: When its last byte had come.
        walked: Rows of the walk up to here; a walk that is begun anew counts anew.
    """

    url: str
    rows: list[Row]
    count: int | None
    next_url: str | None
    size_bytes: int
    received_at: datetime
    walked: int = 0


class Fetcher(Protocol):
    """What gets a document: the network, or the archive of an earlier run."""

    def get(self, url: str, read_rows: ReadRows | None = None) -> Answer:
        """Fetch and parse the document at ``url``; ``read_rows`` is asked first, if given."""


def overlapping(next_url: str, rows: int, *, current: str) -> str:
    """The next page, begun so many ``rows`` earlier, so that it can be seen to join on.

    F&O writes the position into its links (``$skip=10000``). A link of another form is left alone,
    and so is one that would then not get past the ``current`` page.
    """
    position = _POSITION.search(next_url)
    if position is None:
        return next_url
    here = _POSITION.search(current)
    earlier = int(position[2]) - rows
    if earlier <= (int(here[2]) if here else 0):
        return next_url
    return f"{next_url[: position.start(2)]}{earlier}{next_url[position.end(2) :]}"


class Trail:
    """The pages of one walk: none comes twice, and new rows come now and then."""

    def __init__(self, what: str) -> None:
        """Begin a walk; ``what`` is walked through, for messages."""
        self._what = what
        self._visited: set[str] = set()
        self._barren = 0

    def enter(self, url: str) -> None:
        """Note that the page at ``url`` is fetched.

        Raises:
            DataError: it has been fetched before.
        """
        if url in self._visited:
            message = (
                f"{self._what}: after {len(self._visited)} pages the nextLink leads back to one "
                "that was already read"
            )
            raise DataError(message)
        self._visited.add(url)

    def knows(self, url: str) -> bool:
        """Whether the page at ``url`` has been fetched."""
        return url in self._visited

    def leave(self, new_rows: int) -> None:
        """Note what the page brought.

        Raises:
            DataError: nothing new has come for so long that nothing will.
        """
        self._barren = 0 if new_rows else self._barren + 1
        if self._barren > _MOST_BARREN_PAGES:
            message = (
                f"{self._what}: {self._barren} pages in a row brought no new row, and the nextLink "
                "leads on"
            )
            raise DataError(message)

    def turn_back(self) -> None:
        """Begin an instant again: its pages may be fetched once more."""
        self._visited.clear()


class PageReader:
    """Reads documents and pages through one client."""

    def __init__(
        self, client: Fetcher, links: LinkRebaser, *, read_rows: ReadRows | None = None
    ) -> None:
        """Fetch by ``client``; trust links only as far as ``links`` does."""
        self._client = client
        self._links = links
        self._read_rows = read_rows

    def reading(self, read_rows: ReadRows) -> PageReader:
        """One for the pages of one entity."""
        return PageReader(self._client, self._links, read_rows=read_rows)

    def document(self, url: str) -> dict[str, Any]:
        """One JSON document that is no page of rows."""
        return self._client.get(url).document

    def page(self, url: str) -> Page:
        """One page.

        Raises:
            DataError: the answer has no rows array: it must not pass for an empty page.
        """
        answer = self._client.get(url, self._read_rows)
        rows, link = answer.document.get("value"), answer.document.get("@odata.nextLink")
        if (
            not isinstance(rows, list)
            or not all(issubclass(kind, dict | TypedRow) for kind in set(map(type, rows)))
            or not (link is None or isinstance(link, str))
        ):
            message = f"{urlsplit(url).path} answered with JSON that is no page of rows"
            raise DataError(message)
        count = answer.document.get("@odata.count")
        return Page(
            url=url,
            rows=rows,
            count=count if isinstance(count, int) else None,
            next_url=self._links.rebase(link, current=url) if link else None,
            size_bytes=answer.size_bytes,
            received_at=answer.received_at,
        )

    def walk(self, url: str) -> Iterator[Page]:
        """All pages from ``url`` on; only a missing nextLink ends them, an empty page does not.

        Raises:
            DataError: a nextLink leads to a page that was already read, or on for ever.
        """
        trail = Trail(urlsplit(url).path)
        following: str | None = url
        while following is not None:
            trail.enter(following)
            page = self.page(following)
            trail.leave(len(page.rows))
            yield page
            following = page.next_url
