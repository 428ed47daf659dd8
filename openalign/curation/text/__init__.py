"""Texts as the rules see them: split into words, and their language."""
