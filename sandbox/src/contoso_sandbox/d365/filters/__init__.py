"""The ``$filter`` language: text to tree, tree to SQL, tree to a Python test."""
