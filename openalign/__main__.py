"""`python -m openalign` is `openalign`."""

from openalign.commands.cli import main

main()
