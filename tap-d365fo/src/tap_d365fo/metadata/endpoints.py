"""Ask the ``/metadata`` service: what is published, and what single entities look like.

``$metadata`` of a real environment is about 50 MB; these answers are small and say more (they tell
``Date`` from ``UtcDateTime``). The service is not bound to a company.

Source: data-entities/odata.md and services-home-page.md of Microsoft's F&O documentation.
"""

from __future__ import annotations

import mmap
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

import msgspec

from pipeline_core.errors import DataError
from tap_d365fo.access.document import UnreadableError
from tap_d365fo.metadata.documents import (
    Collection,
    EntitySetName,
    PublicEntity,
    public_entity,
    published,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_d365fo.metadata.access import Access
    from tap_d365fo.metadata.model import Entity, EntityListing, Published

#: With more entities than this, one large answer (a page of 100 MB in an environment of 4,000
#: sets) comes sooner than as many small ones.
MOST_SINGLE = 100


class MetadataEndpoints:
    """The metadata services of one environment."""

    def __init__(self, access: Access) -> None:
        """Ask through ``access``."""
        self._access = access
        self._root = f"{access.environment_url}/metadata"

    def published(self) -> Published:
        """All entity sets that the environment has.

        Raises:
            NotFoundError: the environment serves no metadata service.
            DataError: an answer of an unknown form.
        """
        pages = self._access.reader.walk(f"{self._root}/DataEntities")
        return published([row for page in pages for row in page.rows])

    def entities(self, wanted: Sequence[EntityListing]) -> Iterator[Entity]:
        """The wanted entities, in their order."""
        return self._all(wanted) if len(wanted) > MOST_SINGLE else self._single(wanted)

    def _single(self, wanted: Sequence[EntityListing]) -> Iterator[Entity]:
        with ThreadPoolExecutor(self._access.threads) as pool:
            yield from pool.map(self._entity, wanted)

    def _entity(self, listing: EntityListing) -> Entity:
        name = quote(listing.entity.replace("'", "''"), safe="")
        document = self._access.reader.document(f"{self._root}/PublicEntities('{name}')")
        return public_entity(document, listing)

    def _all(self, wanted: Sequence[EntityListing]) -> Iterator[Entity]:
        """Out of the collection: on disk as it came, one entity at a time in memory."""
        decoder = msgspec.json.Decoder(PublicEntity)
        with ExitStack() as files:
            documents = self._documents(files)
            for listing in wanted:
                raw = documents.pop(listing.entity_set, None)
                if raw is None:
                    message = (
                        f"the metadata service lists {listing.entity_set} but does not describe it"
                    )
                    raise DataError(message)
                try:
                    described = decoder.decode(raw)
                except msgspec.ValidationError as error:
                    message = (
                        f"the metadata service sent an unknown form of {listing.entity_set}: "
                        f"{error}"
                    )
                    raise DataError(message) from error
                yield described.entity(listing)

    def _documents(self, files: ExitStack) -> dict[str, msgspec.Raw]:
        name_of = msgspec.json.Decoder(EntitySetName)
        found: dict[str, msgspec.Raw] = {}
        visited: set[str] = set()
        url: str | None = f"{self._root}/PublicEntities"
        while url is not None:
            if url in visited:
                message = "/metadata/PublicEntities: a nextLink leads back to a page already read"
                raise DataError(message)
            visited.add(url)
            file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the others
            files.callback(file.close)
            page = self._access.client.download(url, file, _collection)
            for raw in page.value:
                if (name := name_of.decode(raw).entity_set_name) is not None:
                    found[name] = raw
            link = page.next_link
            url = self._access.links.rebase(link, current=url) if link else None
        return found


def _collection(file: IO[bytes]) -> Collection:
    """The page in ``file``; its parts are views of the mapped file.

    Raises:
        UnreadableError: not a whole page.
    """
    file.flush()
    try:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return msgspec.json.decode(content, type=Collection)
    except ValueError as error:  # an empty file, or no such JSON
        reason = "a body that is no complete page of entities"
        raise UnreadableError(reason) from error
