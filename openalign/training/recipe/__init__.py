"""The settings of a training run, and which of them may differ when it is resumed."""
