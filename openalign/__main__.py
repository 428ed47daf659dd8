"""`python -m openalign` is `openalign`."""

from openalign.cli import main

main()
