"""Turn a web crawl into clean pairs of image and text, and show what each rule dropped.

    python examples/curate_a_crawl.py crawl/*.warc.gz --to curated

Images that the crawl only links to are not fetched unless `--download` is given.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq

import openalign


def main() -> None:
    parser = argparse.ArgumentParser(description="Curate a crawl by the rules of the ALIGN paper.")
    parser.add_argument("sources", nargs="+", help="WARC files, folders of pages, tables.")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--recipe", default="curate-paper", help="A TOML file, or the name of a bundled recipe.")
    parser.add_argument("--min-shorter-side", type=int, default=200)
    parser.add_argument("--download", action="store_true")
    arguments = parser.parse_args()

    changes = {
        "image.min_shorter_side": str(arguments.min_shorter_side),
        "fetch.download": str(arguments.download).lower(),
    }
    report = openalign.curate(arguments.sources, to=arguments.to, recipe=arguments.recipe, set=changes)

    print(f"{report['pairs']['kept']:,} of {report['pairs']['pairs']:,} pairs kept")
    for rule in report["rules"]:
        if rule["ran"]:
            print(f"{rule['name']:>24}: {rule['broken']:,}")
    for pair in pq.read_table(arguments.to / "pairs.parquet").slice(0, 5).to_pylist():
        print(f"{pair['width']} x {pair['height']}  {pair['text']}")


if __name__ == "__main__":
    main()
