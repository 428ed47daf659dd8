"""What a dataset of the Hugging Face hub says of itself in its `README.md`."""
