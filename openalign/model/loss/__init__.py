"""The normalised-softmax contrastive loss (paper section 4.1)."""
