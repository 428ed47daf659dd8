"""`openalign` that takes a while for each partition: `python slow_openalign.py SECONDS ARGUMENTS`."""

import sys
import time

from openalign.commands import cli
from openalign.embedding import embed_partition

if __name__ == "__main__":
    seconds, real = float(sys.argv[1]), embed_partition.embedded_batches

    def slow(*arguments):
        time.sleep(seconds)
        yield from real(*arguments)

    embed_partition.embedded_batches = slow
    sys.argv[1:2] = []
    cli.main()
