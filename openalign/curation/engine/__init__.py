"""Where the steps of a curation run: on one machine with DuckDB, or on a Spark cluster."""
