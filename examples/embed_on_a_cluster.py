"""Embed shards on a Spark cluster, and show what was written.

    spark-submit --master spark://host:7077 examples/embed_on_a_cluster.py "shards/*.tar" --model MODEL --to vectors
    python examples/embed_on_a_cluster.py photos --model MODEL --to vectors --master "local[2]"

Paths must be the same on every machine. Run it again after a failure: what is done is not done again.
"""

import argparse
from pathlib import Path

import openalign
from openalign.embedding.read import Vectors


def main() -> None:
    parser = argparse.ArgumentParser(description="Embed images on a Spark cluster.")
    parser.add_argument("data", nargs="+", help="Shards, folders, tables.")
    parser.add_argument("--model", required=True, help="A model folder, or a name on the Hugging Face hub.")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--master", help="Default: that of spark-submit, else this machine.")
    parser.add_argument("--no-thumbnails", action="store_true")
    arguments = parser.parse_args()

    made = openalign.embed(
        arguments.data,
        model=arguments.model,
        to=arguments.to,
        engine="spark",
        master=arguments.master,
        thumbnails=not arguments.no_thumbnails,
    )

    print(f"{made.rows:,} vectors of width {made.width} in {len(made.partitions):,} partitions")
    for kind, number in made.lost.items():
        print(f"left out: {number:,} {kind}")
    first = next(Vectors(arguments.to, made.fingerprint).batches(5))
    for row in first.rows:
        print(f"{row.width} x {row.height}  {row.key}  {row.text or ''}")


if __name__ == "__main__":
    main()
