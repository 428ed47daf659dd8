"""Near-duplicates: of test images (paper section 3.1), and among the kept images."""
