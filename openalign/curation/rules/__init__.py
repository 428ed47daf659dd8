"""Which pairs are dropped, and why (paper section 3)."""
