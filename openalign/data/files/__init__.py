"""Untrusted files and bytes: found, opened, checked and decoded safely."""
