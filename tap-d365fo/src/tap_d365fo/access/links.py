"""Where a request may go: always to the configured environment, whatever a link says.

A service behind a proxy or load balancer writes its own host or ``http://`` into a nextLink, and a
tampered answer could name any host. Only path and query of a link are used, on the configured
origin, so the bearer token never travels elsewhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from urllib.parse import unquote, urljoin, urlsplit

from pipeline_core.errors import DataError

#: What the tap reads. A link to anything else on the same host is not one that F&O sends.
_SERVICES = ("/data/", "/metadata/")

_logger = logging.getLogger("tap-d365fo.links")


@dataclass(slots=True)
class LinkRebaser:
    """Turns links of the service into addresses on the configured origin.

    Attributes:
        environment_url: Origin (and path prefix on-premises) that requests go to.
    """

    environment_url: str
    _foreign_told: set[str] = field(default_factory=set)

    def rebase(self, link: str, *, current: str) -> str:
        """The address to fetch for ``link``, which was found in the answer to ``current``.

        Args:
            link: ``@odata.nextLink`` as received: absolute, re-hosted, or relative to ``current``.
            current: Address that the answer came from.

        Raises:
            DataError: the link has user information, climbs out of the OData services, or is no
            link.
        """
        try:
            parts = urlsplit(urljoin(current, link.strip()))
            port_is_readable = parts.port is None or parts.port > 0
        except ValueError as error:
            message = f"{_path_of(current)} answered with a nextLink that is no address"
            raise DataError(message) from error
        if parts.username is not None or parts.password is not None or not port_is_readable:
            message = (
                f"{_path_of(current)} answered with a nextLink that names a user; not followed"
            )
            raise DataError(message)
        own = urlsplit(self.environment_url)
        path = self._service_path(parts.path, prefix=own.path)
        if path is None:
            message = (
                f"{_path_of(current)} answered with a nextLink outside /data/ and /metadata/; "
                "not followed"
            )
            raise DataError(message)
        if parts.netloc.lower() != own.netloc and parts.netloc not in self._foreign_told:
            self._foreign_told.add(parts.netloc)
            _logger.warning("nextLink names another host; requests stay on the environment_url")
        query = f"?{parts.query}" if parts.query else ""
        return f"{self.environment_url}{path}{query}"

    @staticmethod
    def _service_path(path: str, *, prefix: str) -> str | None:
        """``path`` without the environment's own prefix, or None where it leaves the services."""
        path = path.removeprefix(prefix)
        plain = unquote(path).lower()
        if "\\" in plain or ".." in plain.split("/"):
            return None
        return path if plain.startswith(_SERVICES) else None


def _path_of(url: str) -> str:
    """Path without query: what may stand in a log or message."""
    return urlsplit(url).path
