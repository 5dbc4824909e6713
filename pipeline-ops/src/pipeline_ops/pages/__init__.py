"""HTML pages that stand alone: one file, no script, nothing fetched from anywhere."""
