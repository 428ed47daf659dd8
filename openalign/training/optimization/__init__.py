"""One exact optimizer step, in one process or many (paper section 5)."""
