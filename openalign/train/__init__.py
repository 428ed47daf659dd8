"""Shards -> model: recipes, the optimizer step, the run, and checkpoints it resumes from (paper section 4.1 and 5.1)."""
