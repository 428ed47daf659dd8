"""Images -> vectors in Parquet, on one machine or on a cluster, for an index or a vector database (paper section 6)."""
