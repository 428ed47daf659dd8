"""What the first rows of a table, and the files beside it, tell of the meaning of its columns."""
