"""Tableau's REST API: session, uploads, projects, jobs; nothing here knows of Singer."""
