"""Parse XML that a client sent, without the attacks that a DTD makes possible."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

# `unused-ignore` keeps both lines right whether or not stubs are installed.
import defusedxml.ElementTree  # type: ignore[import-untyped, unused-ignore]
from defusedxml import DefusedXmlException  # type: ignore[import-untyped, unused-ignore]

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


class XmlError(ValueError):
    """The text is not well-formed XML, or it has a DTD."""


def parse_xml(content: bytes) -> Element:
    """The root element of a document.

    Raises:
        XmlError: the text is not well-formed XML, or it has a DTD.
    """
    try:
        root: Element = defusedxml.ElementTree.fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, UnicodeDecodeError, LookupError) as error:
        message = "not well-formed XML without a DTD"
        raise XmlError(message) from error
    return root
