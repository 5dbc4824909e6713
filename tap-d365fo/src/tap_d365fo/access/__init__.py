"""Talking to Entra ID and to the F&O services: tokens, requests, retries, links."""
