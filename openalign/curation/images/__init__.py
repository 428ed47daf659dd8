"""Each image read and decoded once: measured, fingerprinted, scored, and stored as a JPEG."""
