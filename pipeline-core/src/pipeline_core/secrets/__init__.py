"""Secrets at rest: references in settings, and the stores that they lead to.

A setting that is secret takes either a value or a reference ``secret://<store>/<set>#<field>``.
Only the process that needs a value resolves its reference, so whoever carries the settings around
(Meltano writes them to a file for every run) never has more than the reference.
"""
