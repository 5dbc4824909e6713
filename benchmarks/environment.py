"""An F&O environment of any size, as far as its metadata go, with Entra ID at the same address.

Documents are made and compressed once, so that serving them costs next to nothing: what is measured
is the client. Shapes as in ``contoso_sandbox.d365.metadata``.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from starlette.responses import JSONResponse, Response

from contoso_sandbox.serving import HttpsServer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from contoso_sandbox.tls import Tls

_ENTITIES = "Microsoft.Dynamics.DataEntities"

#: Types of the columns behind the key, over and over: TypeName, DataType.
_COLUMNS = (
    ("Edm.String", "String"),
    ("Edm.Decimal", "Real"),
    (f"{_ENTITIES}.NoYes", "Enum"),
    ("Edm.DateTimeOffset", "Date"),
    ("Edm.Int64", "Int64"),
    ("Edm.String", "String"),
    ("Edm.Int32", "Int32"),
    ("Edm.DateTimeOffset", "UtcDateTime"),
    ("Edm.Guid", "Guid"),
    ("Edm.Binary", "Container"),
)


def data_entity(number: int) -> dict[str, Any]:
    """One row of ``/metadata/DataEntities``; every seventh is for packages alone."""
    return {
        "Name": f"Synthetic{number:05}Entity",
        "PublicEntityName": f"Synthetic{number:05}",
        "PublicCollectionName": f"Synthetic{number:05}Set",
        "LabelId": f"@SYN{number}",
        "DataServiceEnabled": number % 7 != 0,
        "DataManagementEnabled": True,
        "EntityCategory": "Master",
        "IsReadOnly": False,
    }


def public_entity(number: int, width: int) -> dict[str, Any]:
    """One entry of ``/metadata/PublicEntities`` with ``width`` properties."""
    key = [("dataAreaId", "Edm.String", "String"), ("RecordId", "Edm.Int64", "Int64")]
    rest = [
        (f"Column{n:03}", *_COLUMNS[n % len(_COLUMNS)]) for n in range(max(0, width - len(key)))
    ]
    if number % 5 == 0 and rest:
        rest[-1] = ("SysModifiedDateTime", "Edm.DateTimeOffset", "UtcDateTime")
    return {
        "Name": f"Synthetic{number:05}",
        "EntitySetName": f"Synthetic{number:05}Set",
        "LabelId": f"@SYN{number}",
        "IsReadOnly": False,
        "ConfigurationEnabled": True,
        "Properties": [
            {
                "Name": name,
                "TypeName": edm_type,
                "DataType": data_type,
                "LabelId": f"@SYN{number}_{name}",
                "IsKey": position < len(key),
                "IsMandatory": position < len(key),
                "ConfigurationEnabled": True,
                "AllowEdit": True,
                "AllowEditOnCreate": True,
                "IsDimension": False,
                "DimensionRelation": None,
                "IsDynamicDimension": False,
                "DimensionLegalEntityProperty": None,
                "DimensionTypeProperty": None,
            }
            for position, (name, edm_type, data_type) in enumerate(key + rest)
        ],
        "NavigationProperties": [],
        "PropertyGroups": [],
        "Actions": [],
    }


@dataclass
class Environment:
    """Serves metadata, and tokens to whoever asks.

    Attributes:
        url: Of the environment and of Entra ID.
        asked: Paths that were asked for below ``/metadata`` and ``/data``.
        entities: ``PublicEntities`` by set name.
        refused: Status that a path, or a path without its key, answers instead.
        unlabelled: Labels that do not exist.
        edmx: What ``/data/$metadata`` answers.
        page_size: Entities in one answer of the collection; None: all in one.
    """

    sets: int
    width: int
    tls: Tls
    asked: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    unlabelled: set[str] = field(default_factory=set)
    page_size: int | None = None
    edmx: bytes = b""

    def __post_init__(self) -> None:
        """Make the entities, and bind a port."""
        self._server = HttpsServer(self, self.tls)
        self.url = self._server.url
        self.entities = {
            f"Synthetic{n:05}Set": public_entity(n, self.width) for n in range(self.sets)
        }
        self.listings = [data_entity(n) for n in range(self.sets)]
        self._pages: dict[str, tuple[bytes, int]] = {}

    def start(self) -> Environment:
        """Prepare the collection, and serve."""
        self._collection("/metadata/PublicEntities")
        self._server.start()
        return self

    def stop(self) -> None:
        """Serve no longer."""
        self._server.stop()

    def settings(self) -> dict[str, Any]:
        """The tap's configuration."""
        return {
            "environment_url": self.url,
            "tenant_id": "synthetic",
            "client_id": "00000000-0000-0000-0000-000000000000",
            "client_secret": "no-secret",
            "authority_host": self.url,
            "ca_bundle": str(self.tls.ca_bundle),
            "companies": ["usmf"],
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        query = scope["query_string"].decode()
        path = unquote(scope["path"])
        await self._answer(path, query)(scope, receive, send)

    def _answer(self, path: str, query: str) -> Response:
        if "/metadata/" not in path and "/data/" not in path:
            return self._entra(path)
        self.asked.append(path)
        resource, _, key = path.partition("(")
        if (status := self.refused.get(path, self.refused.get(resource))) is not None:
            return Response(status_code=status)
        if path.startswith("/data/"):
            return self._data(path)
        if key:
            found = self._described(resource, key.removesuffix(")"))
            return JSONResponse(found) if found else Response(status_code=404)
        if resource == "/metadata/DataEntities":
            return JSONResponse({"value": self.listings})
        body, _length = self._collection(f"{path}?{query}" if query else path)
        return _zipped(body, "application/json")

    def _data(self, path: str) -> Response:
        if path == "/data/$metadata":
            return _zipped(gzip.compress(self.edmx, 1), "application/xml")
        return JSONResponse({"value": []})

    def _described(self, resource: str, key: str) -> dict[str, Any] | None:
        name = key.split("'")[1]
        if resource == "/metadata/Labels":
            value = "" if name in self.unlabelled else f"Label of {name.rpartition('_')[2]}"
            return {"Id": name, "Language": key.split("'")[3], "Value": value} if value else None
        return next((e for e in self.entities.values() if e["Name"] == name), None)

    def _collection(self, link: str) -> tuple[bytes, int]:
        """The answer to ``link``, compressed, and its length before."""
        if link not in self._pages:
            start = int(link.partition("$skip=")[2] or 0)
            everything = list(self.entities.values())
            size = self.page_size or len(everything)
            page: dict[str, Any] = {"value": everything[start : start + size]}
            if start + size < len(everything):
                # As behind a load balancer, which names a host of its own.
                page["@odata.nextLink"] = (
                    f"http://internal/metadata/PublicEntities?$skip={start + size}"
                )
            body = json.dumps(page, separators=(",", ":")).encode()
            self._pages[link] = gzip.compress(body, 1), len(body)
        return self._pages[link]

    def _entra(self, path: str) -> Response:
        if path.endswith("/openid-configuration"):
            base = f"{self.url}/synthetic"
            return JSONResponse(
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "issuer": f"{base}/v2.0",
                }
            )
        return JSONResponse(
            {"access_token": "synthetic-token", "token_type": "Bearer", "expires_in": 3599}
        )


def _zipped(body: bytes, media_type: str) -> Response:
    return Response(body, media_type=media_type, headers={"content-encoding": "gzip"})
