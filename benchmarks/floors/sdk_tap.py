"""A tap for the same pages as anyone would write it along the Singer SDK's documentation.

    python -m benchmarks.floors.sdk_tap --config CONFIG

``url_base``, ``path``, a schema of ``singer_sdk.typing``, and the paginator for links; everything
else is the SDK's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import BaseHATEOASPaginator

if TYPE_CHECKING:
    import requests

_TYPES: dict[str, Any] = {
    "integer": th.IntegerType,
    "number": th.NumberType,
    "date-time": th.DateTimeType,
    "string": th.StringType,
}


class LinkPaginator(BaseHATEOASPaginator):
    """Follows ``@odata.nextLink``."""

    def get_next_url(self, response: requests.Response) -> str | None:
        """The link of a page."""
        link: str | None = response.json().get("@odata.nextLink")
        return link


class EntityStream(RESTStream[Any]):
    """One entity set."""

    records_jsonpath = "$.value[*]"

    @property
    def url_base(self) -> str:
        """The environment."""
        return f"{self.config['environment_url']}/data"

    @property
    def requests_session(self) -> requests.Session:
        """The SDK's, trusting the environment's authority."""
        session = super().requests_session
        session.verify = self.config["ca_bundle"]
        return session

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        """A fixed token."""
        return BearerTokenAuthenticator(token=self.config["token"])

    def get_new_paginator(self) -> LinkPaginator:
        """Links."""
        return LinkPaginator()

    def get_url_params(
        self,
        context: Any,  # noqa: ANN401, ARG002 - as the SDK declares it
        next_page_token: Any,  # noqa: ANN401 - as the SDK declares it
    ) -> dict[str, Any]:
        """The options of the first page, or those of the link."""
        if next_page_token:
            return dict(pair.split("=", 1) for pair in next_page_token.query.split("&"))
        return {"cross-company": "true"}


class SdkTap(Tap):
    """The tap."""

    name = "tap-plain"
    config_jsonschema = th.PropertiesList(
        th.Property("environment_url", th.StringType, required=True),
        th.Property("ca_bundle", th.StringType, required=True),
        th.Property("token", th.StringType, required=True),
        th.Property("entity_set", th.StringType, required=True),
        th.Property("key", th.ArrayType(th.StringType), required=True),
        th.Property("properties", th.ObjectType(), required=True),
    ).to_dict()

    def discover_streams(self) -> list[EntityStream]:
        """The one stream."""
        properties = self.config["properties"].items()
        schema = th.PropertiesList(*(th.Property(name, _TYPES[kind]) for name, kind in properties))
        stream = EntityStream(self, name=self.config["entity_set"], schema=schema.to_dict())
        stream.path = f"/{self.config['entity_set']}"
        stream.primary_keys = tuple(self.config["key"])
        return [stream]


if __name__ == "__main__":
    SdkTap.cli()
