"""The parts of the writer of an index: its transactions, its vectors, its rows and their near-duplicates."""
