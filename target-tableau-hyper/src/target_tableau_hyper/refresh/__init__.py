"""Refresh what depends on delivered data: find, ask, follow, remember what is still due."""
