"""From records to a sealed extract on disk; nothing here knows of Tableau Server."""
