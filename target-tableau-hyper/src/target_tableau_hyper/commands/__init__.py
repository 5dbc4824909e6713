"""Commands beside the Singer entry point: refresh, publish, verify, inspect."""
