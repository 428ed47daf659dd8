"""WebDataset tars with a Parquet index beside each."""
