"""CSV, TSV, JSON Lines, Parquet and Arrow files -> tables of images and texts."""
