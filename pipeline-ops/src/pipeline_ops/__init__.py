"""The d365fo-tableau command: what an operator of the pipeline needs."""
