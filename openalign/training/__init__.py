"""Shards -> model: recipes, the optimizer step, the run, and checkpoints it resumes from (paper section 5)."""
