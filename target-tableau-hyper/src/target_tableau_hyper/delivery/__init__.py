"""Bring a sealed extract to Tableau: decide, send, confirm."""
