"""Controls: what must hold of the data before an extract may take the place of the one before."""
