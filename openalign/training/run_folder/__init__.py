"""A run's folder: checkpoints, the log, and where a run resumes."""
