"""Contoso in a box: Entra ID, Dynamics 365 F&O and Tableau Server over HTTPS on loopback."""
