"""What the tap and the target share: errors, ledger, atomic files, redaction."""
