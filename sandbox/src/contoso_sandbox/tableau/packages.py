"""Packaged data sources (.tdsx): a zip with one ``.tds`` document and the .hyper file it names."""

from __future__ import annotations

import posixpath
import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contoso_sandbox.tableau.documents import plain_tag, read_live_document
from contoso_sandbox.tableau.xml import XmlError, parse_xml

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from contoso_sandbox.tableau.documents import Document

_MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
_MEGABYTE = 1024 * 1024


class PackageError(Exception):
    """The file is no usable packaged data source."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a package says of itself.

    Attributes:
        document: Member name of the ``.tds``.
        hyper: Member name of the .hyper file.
        live: Whether the data source reads the .hyper file directly (live-to-Hyper). Otherwise the
            file is an extract of another source: it can be refreshed, not changed by PATCH.
        content: What the document says, where it is live.
    """

    document: str
    hyper: str
    live: bool
    content: Document | None


def read_manifest(package: Path) -> Manifest:
    """Open a package and resolve where its data is.

    Raises:
        PackageError: no zip, no single ``.tds`` in its root, a document that is not XML or has a
            DTD, one that names no .hyper file of the package, or one that no server could read.
    """
    try:
        with zipfile.ZipFile(package) as archive:
            document = _document_name(archive)
            if archive.getinfo(document).file_size > _MAX_DOCUMENT_BYTES:
                message = f"'{document}' is too large"
                raise PackageError(message)
            root = parse_xml(archive.read(document))
            members = {_plain(name): name for name in archive.namelist()}
    except zipfile.BadZipFile as error:
        message = "the file is not a zip file"
        raise PackageError(message) from error
    except XmlError as error:
        message = f"the .tds document is {error}"
        raise PackageError(message) from error
    connection, live = _hyper_connection(root)
    named = _plain(connection.get("dbname", ""))
    if named not in members:
        message = f"the .tds document reads '{named}', which the package does not hold"
        raise PackageError(message)
    try:
        content = read_live_document(root) if live else None
    except ValueError as error:
        message = f"the .tds document cannot be read: {error}"
        raise PackageError(message) from error
    return Manifest(document, members[named], live, content)


def extract_hyper(package: Path, manifest: Manifest, target: Path) -> None:
    """Write the .hyper file of a package to ``target``.

    Raises:
        PackageError: its bytes in the zip are damaged.
    """
    try:
        with (
            zipfile.ZipFile(package) as archive,
            archive.open(manifest.hyper) as member,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(member, file, _MEGABYTE)
    except zipfile.BadZipFile as error:
        message = f"'{manifest.hyper}' is damaged in the package"
        raise PackageError(message) from error


def repack(package: Path, hyper: Path | None, target: Path) -> None:
    """Write a copy of ``package`` that holds ``hyper``, or no data if that is ``None``."""
    manifest = read_manifest(package)
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.infolist():
            if item.filename != manifest.hyper:
                new.writestr(item, old.read(item), zipfile.ZIP_DEFLATED)
            elif hyper is not None:
                new.write(hyper, item.filename, zipfile.ZIP_STORED)


def _document_name(archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if name.endswith(".tds") and "/" not in name]
    if len(names) != 1:
        message = f"the package holds {len(names)} .tds documents, not one"
        raise PackageError(message)
    return names[0]


def _hyper_connection(root: Element) -> tuple[Element, bool]:
    """The connection that names the .hyper file, and whether it is live.

    An extract is ``<extract enabled='true'><connection class='hyper' …/></extract>``; Desktop may
    wrap the tag in a feature prefix (``_.fcp.….true...extract``).
    """
    for child in root:
        if plain_tag(child) == "extract" and child.get("enabled") == "true":
            for connection in child.iter("connection"):
                if connection.get("class") == "hyper":
                    return connection, False
    live = [
        connection
        for named in root.iter("named-connection")
        for connection in named.iter("connection")
        if connection.get("class") == "hyper"
    ]
    if len(live) != 1:
        message = f"the .tds document has {len(live)} connections to a .hyper file, not one"
        raise PackageError(message)
    return live[0], True


def _plain(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/"))
