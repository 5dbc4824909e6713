"""``d365fo-tableau preview``: what the extracts hold, as a page with charts."""
