"""Microsoft Entra ID as far as a service sees it: the client credentials flow."""

from contoso_sandbox.entra.app import create_app
from contoso_sandbox.entra.directory import Registration, Tenant

__all__ = ["Registration", "Tenant", "create_app"]
