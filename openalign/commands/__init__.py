"""The command line: `openalign` and its commands."""
