"""Model + data -> numbers: one file a protocol, all of them alike (paper section 5)."""
