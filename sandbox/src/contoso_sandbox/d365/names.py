"""Namespaces of the published types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contoso_sandbox.model import EDM_TYPES, AxType

if TYPE_CHECKING:
    from contoso_sandbox.model import Property

#: Every entity, enum and action of ``/data`` lives here.
DATA_ENTITIES = "Microsoft.Dynamics.DataEntities"
#: Vocabulary of the annotations in ``$metadata``.
CORE_TERMS = "Microsoft.Dynamics.OData.Core.V1"
#: Types of the ``/metadata`` services.
METADATA = "Microsoft.Dynamics.Metadata"


def edm_type(column: Property) -> str:
    """Name the Edm type of a property as ``$metadata`` and ``PublicEntities`` publish it."""
    if column.ax_type is AxType.ENUM:
        return f"{DATA_ENTITIES}.{column.enum}"
    return EDM_TYPES[column.ax_type]
