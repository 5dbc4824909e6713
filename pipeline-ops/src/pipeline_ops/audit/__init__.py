"""What was done, told from the ledger; and done once more where it must be."""
