"""Pairs -> training batches, built in worker processes."""
