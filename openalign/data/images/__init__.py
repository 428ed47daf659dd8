"""Untrusted image bytes -> RGB arrays."""
