"""Measure a model: one file for each protocol, all built alike."""
